//! Which file holds an exchange's bodies.

use std::time::Duration;

use verbatim_core::model::Timestamp;

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A file of blocks: one a week, and further parts of it where retention by bytes asks for smaller steps. Buckets
/// sort by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Bucket {
    /// Whole weeks since the Unix epoch (a Thursday).
    pub(crate) week: u32,
    pub(crate) part: u32,
}

impl Bucket {
    /// The week that a moment lies in.
    pub(crate) fn week_of(time: Timestamp) -> u32 {
        let week = time.as_unix_us().max(0).unsigned_abs() / WEEK.as_micros() as u64;
        u32::try_from(week).unwrap_or(u32::MAX)
    }

    /// The moment at which its week begins.
    pub(crate) fn begin(self) -> Timestamp {
        Timestamp::default().plus(WEEK * self.week)
    }

    /// The moment at which its week is over.
    pub(crate) fn end(self) -> Timestamp {
        self.begin().plus(WEEK)
    }

    pub(crate) fn file_name(self) -> String {
        format!("blocks-{:05}-{:03}.db", self.week, self.part)
    }

    /// The bucket whose file has this name.
    pub(crate) fn of_file(name: &str) -> Option<Self> {
        let (week, part) = name.strip_prefix("blocks-")?.strip_suffix(".db")?.split_once('-')?;
        let bucket = Self { week: week.parse().ok()?, part: part.parse().ok()? };
        (bucket.file_name() == name).then_some(bucket)
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
    fn a_file_name_tells_its_bucket() {
        let bucket = Bucket { week: 2945, part: 12 };
        assert_eq!(Bucket::of_file(&bucket.file_name()), Some(bucket));
        assert_eq!(Bucket::of_file("blocks-02945-012.db-wal"), None);
        assert_eq!(Bucket::of_file("blocks-2945-12.db"), None);
    }
}
