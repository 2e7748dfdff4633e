//! Latency that the relay adds at a steady rate.

use anyhow::Result;

use super::{Bench, median};
use crate::load;
use crate::report::Report;
use crate::targets::{Mock, Nginx, Verbatim, call_1k};

const RATE: u32 = 1_000;
const CONNECTIONS: usize = 32;

/// The difference of quantiles between calls through Verbatim and direct ones.
pub(crate) async fn latency(bench: &Bench, report: &mut Report) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mock = Mock::start(&bench.binaries).await?;
    let nginx = Nginx::start(directory.path(), mock.address).await?;
    let verbatim =
        Verbatim::start(&bench.binaries, &directory.path().join("data"), mock.address, "best_effort").await?;
    let (mut added, mut by_nginx): ([Vec<f64>; 2], [Vec<f64>; 2]) = Default::default();
    for _ in 0..bench.rounds {
        let direct = load::open(mock.address, call_1k(), CONNECTIONS, RATE, bench.time).await?;
        let ours = load::open(verbatim.gateway, call_1k(), CONNECTIONS, RATE, bench.time).await?;
        verbatim.settled().await?;
        for (at, quantile) in [0.5, 0.99].into_iter().enumerate() {
            added[at].push(ours.quantile_ms(quantile) - direct.quantile_ms(quantile));
        }
        if let Some(nginx) = &nginx {
            let theirs = load::open(nginx.address, call_1k(), CONNECTIONS, RATE, bench.time).await?;
            for (at, quantile) in [0.5, 0.99].into_iter().enumerate() {
                by_nginx[at].push(theirs.quantile_ms(quantile) - direct.quantile_ms(quantile));
            }
        }
    }
    let [p50, p99] = added.map(median);
    let [nginx50, nginx99] = by_nginx.map(median);
    let what = |quantile| format!("latency added at {RATE} calls/s, {quantile}");
    report.budget(&what("p50"), format!("{p50:.2} ms (nginx {nginx50:.2} ms)"), "<= 0.2 ms", p50 <= 0.2);
    report.budget(&what("p99"), format!("{p99:.2} ms (nginx {nginx99:.2} ms)"), "<= 1 ms", p99 <= 1.0);
    verbatim.process.stop()
}
