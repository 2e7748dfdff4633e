//! Throughput: direct, nginx, Verbatim, round by round in turn, so that a noisy minute hits all of them.

use anyhow::Result;

use super::{Bench, median};
use crate::load;
use crate::report::Report;
use crate::targets::{Mock, Nginx, Verbatim, call_1k, stream_50};

const CONNECTIONS: usize = 32;

/// Calls and streams a second, and their ratio to nginx.
pub(crate) async fn relay(bench: &Bench, report: &mut Report) -> Result<()> {
    for (name, request) in [("1 KB calls", call_1k()), ("50-chunk streams", stream_50())] {
        for capture in ["best_effort", "required"] {
            one(bench, report, name, &request, capture).await?;
        }
    }
    Ok(())
}

async fn one(bench: &Bench, report: &mut Report, name: &str, request: &[u8], capture: &str) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mock = Mock::start(&bench.binaries).await?;
    let nginx = Nginx::start(directory.path(), mock.address).await?;
    let verbatim =
        Verbatim::start(&bench.binaries, &directory.path().join("data"), mock.address, capture).await?;
    let mut addresses = vec![("direct", mock.address), ("verbatim", verbatim.gateway)];
    addresses.extend(nginx.as_ref().map(|nginx| ("nginx", nginx.address)));
    let mut rates = std::collections::BTreeMap::<&str, Vec<f64>>::new();
    for _ in 0..bench.rounds {
        for (target, address) in &addresses {
            let measured = load::closed(*address, request.to_vec(), CONNECTIONS, bench.time).await?;
            rates.entry(target).or_default().push(measured.rate());
            // The archive's work on what was relayed must not weigh on the next.
            verbatim.settled().await?;
        }
    }
    let rate = |target: &str| rates.get(target).cloned().map(median);
    let ours = rate("verbatim").unwrap_or(f64::NAN);
    let direct = rate("direct").unwrap_or(f64::NAN);
    let what = format!("{name}, {CONNECTIONS} connections, capture {capture}");
    match rate("nginx") {
        Some(nginx) => {
            let text =
                format!("{ours:.0}/s; nginx {nginx:.0}/s, direct {direct:.0}/s; ratio {:.2}", ours / nginx);
            match capture {
                "best_effort" => report.budget(&what, text, ">= 0.6 of nginx", ours / nginx >= 0.6),
                _ => report.figure(&what, text),
            }
        }
        None => report.figure(&what, format!("{ours:.0}/s; direct {direct:.0}/s; nginx is not installed")),
    }
    verbatim.process.stop()
}
