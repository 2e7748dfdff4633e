//! Sums over exchanges.

use serde::Serialize;

use super::Timestamp;

/// Counts durations in buckets that grow by about a fifth, from 0.1 ms to days; two histograms add up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DurationHistogram {
    counts: Vec<u64>,
}

impl DurationHistogram {
    const PER_DOUBLING: f64 = 4.0;
    const FIRST_US: f64 = 100.0;
    /// The number of buckets a histogram can have.
    pub const BUCKETS: usize = 128;

    fn bucket(us: u64) -> usize {
        // Precision beyond 2^52 µs (142 years) does not matter.
        let ratio = us as f64 / Self::FIRST_US;
        if ratio <= 1.0 {
            0
        } else {
            ((ratio.log2() * Self::PER_DOUBLING).ceil() as usize).min(Self::BUCKETS - 1)
        }
    }

    /// The upper bound of a bucket, in microseconds.
    fn upper_us(bucket: usize) -> f64 {
        Self::FIRST_US * (bucket as f64 / Self::PER_DOUBLING).exp2()
    }

    /// Counts a duration in microseconds.
    pub fn record(&mut self, us: u64) {
        self.add(Self::bucket(us), 1);
    }

    fn add(&mut self, bucket: usize, count: u64) {
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += count;
    }

    /// Adds all that another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, &count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.add(bucket, count);
        }
    }

    /// Takes away what another one counted; never below zero.
    pub fn subtract(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine = mine.saturating_sub(*theirs);
        }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The duration in microseconds that the share `quantile` (0 to 1) of all stays below; `None` if empty.
    pub fn quantile_us(&self, quantile: f64) -> Option<u64> {
        let wanted = (self.count() as f64 * quantile.clamp(0.0, 1.0)).ceil().max(1.0);
        let mut seen = 0;
        for (bucket, &count) in self.counts.iter().enumerate() {
            seen += count;
            if count > 0 && seen as f64 >= wanted {
                return Some(Self::upper_us(bucket).round() as u64);
            }
        }
        None
    }

    /// Its counts, bucket for bucket, for an adapter to store.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// From stored counts; those past the last bucket are left out.
    pub fn from_counts(mut counts: Vec<u64>) -> Self {
        counts.truncate(Self::BUCKETS);
        Self { counts }
    }
}

/// Sums over a set of exchanges.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Exchanges that ended.
    pub calls: u64,
    /// Of these, completed ones.
    pub completed: u64,
    /// Sum of durations, in microseconds.
    pub duration_us: u64,
    /// Distribution of durations.
    #[serde(skip)]
    pub durations: DurationHistogram,
    /// Distribution of times to the first token.
    #[serde(skip)]
    pub first_tokens: DurationHistogram,
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Of the input, read from cache.
    pub cache_read_tokens: u64,
    /// Cost in millionths of a US dollar.
    pub cost_micros: u64,
    /// Exchanges whose tokens are estimated.
    pub estimated: u64,
    /// Bytes lost.
    pub lost_bytes: u64,
}

impl Totals {
    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        // Some figures are what a provider says: absurd ones must not overflow.
        let add = |mine: &mut u64, theirs: u64| *mine = mine.saturating_add(theirs);
        add(&mut self.calls, other.calls);
        add(&mut self.completed, other.completed);
        add(&mut self.duration_us, other.duration_us);
        add(&mut self.input_tokens, other.input_tokens);
        add(&mut self.output_tokens, other.output_tokens);
        add(&mut self.cache_read_tokens, other.cache_read_tokens);
        add(&mut self.cost_micros, other.cost_micros);
        add(&mut self.estimated, other.estimated);
        add(&mut self.lost_bytes, other.lost_bytes);
        self.durations.merge(&other.durations);
        self.first_tokens.merge(&other.first_tokens);
    }

    /// Average duration in microseconds; `None` without calls.
    pub fn average_duration_us(&self) -> Option<u64> {
        self.duration_us.checked_div(self.calls)
    }

    /// Share of calls that completed, 0 to 1; `None` without calls.
    pub fn success_rate(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.completed as f64 / self.calls as f64)
    }
}

/// Sums over one stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bucket {
    /// When the stretch begins.
    pub from: Timestamp,
    /// Its sums.
    pub totals: Totals,
}

/// Sums over a time range: in all, and in equal stretches.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Over the whole range.
    pub totals: Totals,
    /// One entry a stretch, oldest first, empty stretches included.
    pub buckets: Vec<Bucket>,
}

/// Sums for one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelStats {
    /// The model; empty where none is known.
    pub model: String,
    /// The provider that served it.
    pub provider: String,
    /// Its sums.
    pub totals: Totals,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_fifth() {
        let mut histogram = DurationHistogram::default();
        for us in 1..=100_000 {
            histogram.record(us);
        }
        let p95 = histogram.quantile_us(0.95).unwrap();
        assert!((95_000..=114_000).contains(&p95), "{p95}");
        assert_eq!(DurationHistogram::default().quantile_us(0.5), None);
    }

    #[test]
    fn subtracting_what_was_merged_leaves_the_rest() {
        let (mut one, mut two) = (DurationHistogram::default(), DurationHistogram::default());
        one.record(500);
        two.record(90_000_000);
        let before = one.clone();
        one.merge(&two);
        assert_eq!(one.count(), 2);
        one.subtract(&two);
        assert_eq!(one.count(), before.count());
        assert_eq!(one.quantile_us(1.0), before.quantile_us(1.0));
    }

    #[test]
    fn extreme_durations_have_a_bucket() {
        let mut histogram = DurationHistogram::default();
        histogram.record(0);
        histogram.record(u64::MAX);
        assert_eq!(histogram.count(), 2);
        assert_eq!(DurationHistogram::from_counts(histogram.counts().to_vec()), histogram);
    }
}
