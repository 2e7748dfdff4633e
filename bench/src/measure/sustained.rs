//! Calls that are relayed and archived, load and mock and all roles on one machine; nothing may be missing.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Bench;
use crate::report::Report;
use crate::targets::{Mock, Verbatim, call_1k};
use crate::{load, machine};

/// Calls a second that are to be archived, and what is offered for that.
const BUDGET: u32 = 4_000;
const RATE: u32 = BUDGET + BUDGET / 20;
const CONNECTIONS: usize = 32;

/// First at the budget's rate, where the archive has to keep up; then as fast as it goes, drained to the last.
pub(crate) async fn sustained(bench: &Bench, report: &mut Report) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mock = Mock::start(&bench.binaries).await?;
    let verbatim =
        Verbatim::start(&bench.binaries, &directory.path().join("data"), mock.address, "best_effort").await?;
    let time = bench.time * 6;
    let before = machine::written(verbatim.process.id())?;

    let paced = load::open(verbatim.gateway, call_1k(), CONNECTIONS, RATE, time).await?;
    let ended = Instant::now();
    verbatim.wait_archived(paced.calls, Duration::from_secs(120)).await?;
    let behind = ended.elapsed();
    let rate = paced.calls as f64 / (paced.took + behind).as_secs_f64();
    report.budget(
        &format!("embedded, {RATE} calls/s offered for {} s", time.as_secs()),
        format!(
            "{:.0}/s relayed, {rate:.0}/s archived, all {} of them; archive done {:.1} s after the last call; p99 {:.2} ms",
            paced.rate(),
            paced.calls,
            behind.as_secs_f64(),
            paced.quantile_ms(0.99)
        ),
        ">= 4,000/s archived",
        rate >= f64::from(BUDGET),
    );
    let per_call = call_1k().len() as u64 + 1_024;
    let written = machine::written(verbatim.process.id())? - before;
    let ratio = written as f64 / (paced.calls * per_call) as f64;
    report.budget("embedded, bytes written / bytes captured", format!("{ratio:.1}"), "<= 12", ratio <= 12.0);

    let full = load::closed(verbatim.gateway, call_1k(), CONNECTIONS, time).await?;
    let total = paced.calls + full.calls;
    let ended = Instant::now();
    verbatim.wait_archived(total, Duration::from_secs(300)).await?;
    let drained = ended.elapsed();
    let archived = verbatim.archived().await?;
    ensure!(archived == total, "{archived} exchanges are archived, {total} calls were answered");
    report.figure(
        "embedded, as fast as it goes",
        format!(
            "{:.0}/s relayed, {:.0}/s archived over load and drain ({:.1} s after the last call)",
            full.rate(),
            full.calls as f64 / (full.took + drained).as_secs_f64(),
            drained.as_secs_f64()
        ),
    );
    let peak = machine::peak_mib(verbatim.process.id())?;
    report.budget(
        "embedded, peak memory under full load",
        format!("{peak:.0} MiB"),
        "<= 256 MiB",
        peak <= 256.0,
    );
    verbatim.process.stop()
}
