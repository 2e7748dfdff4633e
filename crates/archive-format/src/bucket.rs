//! Which bucket holds an exchange's bodies.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use verbatim_core::model::Timestamp;

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What bodies are kept and deleted in: one a week, and further parts of it where retention by bytes asks for smaller
/// steps. Buckets sort by age. Shown as `02945-003`, week and part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket {
    /// Whole weeks since the Unix epoch (a Thursday).
    pub week: u32,
    /// Its place among the parts of its week, from 0.
    pub part: u32,
}

impl Bucket {
    /// The week that a moment lies in.
    pub fn week_of(time: Timestamp) -> u32 {
        let week = time.as_unix_us().max(0).unsigned_abs() / WEEK.as_micros() as u64;
        u32::try_from(week).unwrap_or(u32::MAX)
    }

    /// The moment at which its week begins.
    pub fn begin(self) -> Timestamp {
        Timestamp::default().plus(WEEK * self.week)
    }

    /// The moment at which its week is over.
    pub fn end(self) -> Timestamp {
        self.begin().plus(WEEK)
    }

    /// The first bucket of the week after its own.
    pub fn next_week(self) -> Self {
        Self { week: self.week.saturating_add(1), part: 0 }
    }

    /// The next part of its week.
    pub fn next_part(self) -> Self {
        Self { part: self.part.saturating_add(1), ..self }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:05}-{:03}", self.week, self.part)
    }
}

/// Text that does not name a bucket the way it is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a bucket: expected week and part such as 02945-003")]
pub struct InvalidBucket;

impl FromStr for Bucket {
    type Err = InvalidBucket;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (week, part) = text.split_once('-').ok_or(InvalidBucket)?;
        let number = |digits: &str| digits.parse().map_err(|_| InvalidBucket);
        let bucket = Self { week: number(week)?, part: number(part)? };
        if bucket.to_string() == text { Ok(bucket) } else { Err(InvalidBucket) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_ends_where_the_next_begins() {
        let bucket = Bucket { week: 2945, part: 0 };
        let last = bucket.end().minus(Duration::from_micros(1));
        assert_eq!((Bucket::week_of(last), Bucket::week_of(bucket.end())), (2945, 2946));
        assert_eq!(Bucket::week_of(Timestamp::from_unix_us(-5)), 0);
    }

    #[test]
    fn a_bucket_reads_back_as_it_is_shown() {
        let bucket = Bucket { week: 2945, part: 12 };
        assert_eq!(bucket.to_string(), "02945-012");
        assert_eq!("02945-012".parse(), Ok(bucket));
        for other in ["2945-12", "02945-012-wal", "02945", "", "+2945-012"] {
            assert_eq!(other.parse::<Bucket>(), Err(InvalidBucket), "{other}");
        }
    }
}
