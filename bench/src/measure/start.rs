//! From starting the process to its first answered call.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Bench, median};
use crate::report::Report;
use crate::targets::{Mock, Verbatim, call_1k, first_answer};

/// Starts it several times, on an empty data directory each.
pub(crate) async fn start(bench: &Bench, report: &mut Report) -> Result<()> {
    let mock = Mock::start(&bench.binaries).await?;
    let mut times = Vec::new();
    for _ in 0..bench.rounds.max(5) {
        let directory = tempfile::tempdir()?;
        let began = Instant::now();
        let verbatim =
            Verbatim::start(&bench.binaries, &directory.path().join("data"), mock.address, "best_effort")
                .await?;
        first_answer(verbatim.gateway, &call_1k(), Duration::from_secs(20)).await?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        verbatim.process.stop()?;
    }
    let time = median(times);
    report.budget("start to first answered call", format!("{time:.0} ms"), "<= 300 ms", time <= 300.0);
    Ok(())
}
