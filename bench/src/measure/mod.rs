//! The measurements, one file each.

mod latency;
mod relay;
mod scale_out;
mod search;
mod start;
mod storage;
mod streams;
mod sustained;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use latency::latency;
pub(crate) use relay::relay;
pub(crate) use scale_out::scale_out;
pub(crate) use search::search;
pub(crate) use start::start;
pub(crate) use storage::storage;
pub(crate) use streams::streams;
pub(crate) use sustained::sustained;

/// How to measure.
pub(crate) struct Bench {
    /// Where the release binaries are.
    pub(crate) binaries: PathBuf,
    /// Time of one round of load.
    pub(crate) time: Duration,
    /// Rounds, of which the median counts.
    pub(crate) rounds: usize,
    /// Exchanges that a backlog has at least.
    pub(crate) backlog: u64,
    /// Exchanges that are indexed and searched.
    pub(crate) documents: usize,
    /// Where, if anywhere.
    pub(crate) meilisearch: Option<Meilisearch>,
}

/// A Meilisearch that is given.
pub(crate) struct Meilisearch {
    pub(crate) url: String,
    pub(crate) key: String,
}

/// The median; of an even number, the upper of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
