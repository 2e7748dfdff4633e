//! The measurements, one file each.

mod latency;
mod lists;
mod relay;
mod scale_out;
mod search;
mod start;
mod storage;
mod streams;
mod sustained;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use tokio::runtime::Runtime;

use crate::report::Report;

pub(crate) use latency::latency;
pub(crate) use lists::lists;
pub(crate) use relay::relay;
pub(crate) use scale_out::{at_once, drained, long_bodies, many_streams};
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
    /// Exchanges in the archive whose lists are timed.
    pub(crate) listed: u32,
    /// Exchanges that are indexed and searched.
    pub(crate) documents: usize,
    /// Where, if anywhere.
    pub(crate) meilisearch: Option<Meilisearch>,
}

/// Measurements one after the other, none of which takes another's figures away with it.
pub(crate) struct Measuring {
    pub(crate) bench: Bench,
    pub(crate) report: Report,
    /// What could not be measured, and why.
    pub(crate) failed: Vec<String>,
    runtime: Runtime,
}

impl Measuring {
    pub(crate) fn new(bench: Bench) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { bench, report: Report::default(), failed: Vec::new(), runtime })
    }

    /// Takes one measurement; where it can't be taken, the table says why.
    pub(crate) fn run(
        &mut self,
        name: &str,
        measurement: impl AsyncFnOnce(&Bench, &mut Report) -> Result<()>,
    ) {
        let Self { bench, report, runtime, .. } = self;
        // The engines that a measurement starts panic where they can't: here that is one figure less.
        let measured = || runtime.block_on(measurement(bench, report));
        let why = match std::panic::catch_unwind(AssertUnwindSafe(measured)) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("{error:#}"),
            Err(panic) => match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
                (Some(text), _) => text.clone(),
                (None, text) => (*text.unwrap_or(&"it panicked")).to_owned(),
            },
        };
        self.report.failed(name, &why);
        self.failed.push(format!("{name}: {why}"));
    }
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
