//! Memory with many streams open at once.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;

use super::Bench;
use crate::http::{Connection, post};
use crate::machine;
use crate::report::Report;
use crate::targets::{Mock, Verbatim};

const STREAMS: usize = 1_000;

/// Opens streams that send a chunk now and then, and looks at the process while all of them are open.
pub(crate) async fn streams(bench: &Bench, report: &mut Report) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mock = Mock::start(&bench.binaries).await?;
    let verbatim =
        Verbatim::start(&bench.binaries, &directory.path().join("data"), mock.address, "best_effort").await?;
    let body = serde_json::json!({"model": "gpt-4o-mini", "stream": true, "messages": [{"role": "user", "content": "Slowly, please."}]});
    let request = post("/v1/chat/completions", &["x-mock: chunks=40; chunk-delay=250ms"], &body.to_string());
    let mut tasks = JoinSet::new();
    for _ in 0..STREAMS {
        let (request, gateway) = (request.clone(), verbatim.gateway);
        tasks.spawn(async move { Connection::open(gateway).await?.call(&request).await });
    }
    // The streams take ten seconds: after six all are open and none has ended.
    let mut resident = 0.0_f64;
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        resident = resident.max(machine::resident_mib(verbatim.process.id())?);
    }
    let open = tasks.len();
    while let Some(joined) = tasks.join_next().await {
        joined??;
    }
    report.budget(
        &format!("memory of the whole process with {open} open streams"),
        format!("{resident:.0} MiB"),
        "<= 128 MiB (gateway alone)",
        resident <= 128.0,
    );
    verbatim.process.stop()
}
