//! Putting stored sums together to what was asked.

use std::collections::BTreeMap;
use std::ops::Range;

use verbatim_core::model::{Bucket, ModelStats, Stats, Timestamp, Totals};
use verbatim_core::ports::{PortError, PortResult, StatsRequest};

use super::runs::runs;
use super::{MINUTE, Run, floor, subtract};

/// Nobody looks at more stretches at once; each takes memory.
const STRETCHES: i64 = 50_000;

/// Sums over a range and its stretches. Minutes count whole: the range is widened to them.
#[derive(Debug)]
pub struct SumsOverTime {
    range: Range<i64>,
    step: i64,
    stats: Stats,
}

impl SumsOverTime {
    /// Empty sums.
    ///
    /// # Errors
    /// Permanent where a stretch is no whole number of minutes, or there are too many.
    pub fn new(request: &StatsRequest) -> PortResult<Self> {
        let range = minutes(&request.range);
        let step = i64::try_from(request.step.as_secs()).unwrap_or(i64::MAX);
        if step < MINUTE || step % MINUTE != 0 || request.step.subsec_nanos() > 0 {
            return Err(PortError::Permanent(format!(
                "a stretch of sums must be a whole number of minutes, at least one; got {:?}",
                request.step
            )));
        }
        let length = range.end - range.start;
        let stretches = length / step + i64::from(length % step != 0);
        if stretches > STRETCHES {
            return Err(PortError::Permanent(format!(
                "{stretches} stretches are too many: at most {STRETCHES}, so ask for longer ones or a shorter range"
            )));
        }
        let from = |stretch: i64| Timestamp::from_unix_ms((range.start + stretch * step) * 1000);
        let empty = |stretch| Bucket { from: from(stretch), totals: Totals::default() };
        let buckets = (0..stretches).map(empty).collect();
        Ok(Self { range, step, stats: Stats { totals: Totals::default(), buckets } })
    }

    /// The stored sums that make up all of it.
    pub fn runs(&self) -> Vec<Run> {
        let stretches = i64::try_from(self.stats.buckets.len()).unwrap_or(i64::MAX);
        let start = |stretch: i64| self.range.start + stretch * self.step;
        let ends = (0..stretches).map(|stretch| start(stretch).saturating_add(self.step).min(self.range.end));
        runs(self.range.start, ends)
    }

    /// Adds a stored sum that begins at this second.
    pub fn add(&mut self, start: i64, totals: &Totals) {
        if let Some(bucket) = self.bucket(start) {
            bucket.totals.merge(totals);
        }
        self.stats.totals.merge(totals);
    }

    /// Takes a stored sum back; only after all that it was counted in was added.
    pub fn subtract(&mut self, start: i64, totals: &Totals) {
        if let Some(bucket) = self.bucket(start) {
            subtract(&mut bucket.totals, totals);
        }
        subtract(&mut self.stats.totals, totals);
    }

    fn bucket(&mut self, start: i64) -> Option<&mut Bucket> {
        let stretch = usize::try_from((start - self.range.start) / self.step).ok()?;
        self.stats.buckets.get_mut(stretch)
    }

    /// The sums.
    pub fn finish(self) -> Stats {
        self.stats
    }
}

/// Sums for each model.
#[derive(Debug, Default)]
pub struct SumsOfModels {
    models: BTreeMap<(String, String), Totals>,
}

impl SumsOfModels {
    /// The stored sums that make up a range, widened to whole minutes.
    pub fn runs(range: &Range<Timestamp>) -> Vec<Run> {
        let range = minutes(range);
        runs(range.start, std::iter::once(range.end))
    }

    /// Adds a stored sum.
    pub fn add(&mut self, model: String, provider: String, totals: &Totals) {
        self.models.entry((model, provider)).or_default().merge(totals);
    }

    /// Takes a stored sum back; only after all that it was counted in was added.
    pub fn subtract(&mut self, model: String, provider: String, totals: &Totals) {
        subtract(self.models.entry((model, provider)).or_default(), totals);
    }

    /// Those that were called, most calls first.
    pub fn finish(self) -> Vec<ModelStats> {
        let called = self.models.into_iter().filter(|(_, totals)| totals.calls > 0);
        let mut models: Vec<ModelStats> =
            called.map(|((model, provider), totals)| ModelStats { model, provider, totals }).collect();
        models.sort_by_key(|model| std::cmp::Reverse(model.totals.calls));
        models
    }
}

/// The range in seconds, widened to whole minutes; empty where it ends before it begins.
fn minutes(range: &Range<Timestamp>) -> Range<i64> {
    let second = |time: Timestamp| time.as_unix_us().div_euclid(1_000_000);
    let start = floor(second(range.start), MINUTE);
    let last = floor(range.end.as_unix_us().saturating_sub(1).div_euclid(1_000_000), MINUTE);
    start..(last + MINUTE).max(start)
}
