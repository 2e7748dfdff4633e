//! What the archive keeps of an agent that sends its whole history with every turn.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Bench;
use crate::http::{Connection, post};
use crate::report::Report;
use crate::targets::{Mock, Verbatim};
use crate::{agent, machine};

/// Several conversations, so that what an empty archive takes does not weigh.
const CONVERSATIONS: u64 = 10;

/// Bytes on disk against bytes of bodies captured: of the archive (records and blocks), and of all that there is.
pub(crate) async fn storage(bench: &Bench, report: &mut Report) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mock = Mock::start(&bench.binaries).await?;
    let data = directory.path().join("data");
    let verbatim = Verbatim::start(&bench.binaries, &data, mock.address, "required").await?;
    let (mut captured, mut calls) = (0, 0);
    for seed in 0..CONVERSATIONS {
        let mut connection = Connection::open(verbatim.gateway).await?;
        for body in agent::requests(seed) {
            let session = format!("x-verbatim-session: agent-{seed}");
            let answer = connection.call(&post("/v1/chat/completions", &[&session], &body)).await?;
            ensure!(answer.status == 200, "status {}", answer.status);
            captured += body.len() as u64 + answer.body as u64;
            calls += 1;
        }
    }
    verbatim.wait_archived(calls, Duration::from_secs(120)).await?;
    rest(&data).await?;
    let at_rest = kept(&data, captured)?;
    verbatim.process.stop()?;
    let archive = machine::disk_bytes(&data.join("archive"))?;
    let ratio = captured as f64 / archive as f64;
    report.budget(
        &format!("archive of {CONVERSATIONS} agent conversations of {} turns", agent::TURNS),
        format!("1/{ratio:.0} of {:.1} MiB captured", mib(captured)),
        "<= 1/25",
        ratio >= 25.0,
    );
    report.figure("the whole data directory, all archived and indexed", at_rest);
    report.figure("the same, once it was stopped", kept(&data, captured)?);
    Ok(())
}

/// Waits until a data directory takes as little as it will: what is kept until it is old enough has gone.
async fn rest(data: &Path) -> Result<()> {
    const LONG: Duration = Duration::from_secs(15);
    let (began, mut unchanged_since, mut bytes) = (Instant::now(), Instant::now(), 0);
    while unchanged_since.elapsed() < LONG {
        ensure!(began.elapsed() < Duration::from_secs(300), "it never comes to rest");
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = machine::disk_bytes(data)?;
        if now != bytes {
            (unchanged_since, bytes) = (Instant::now(), now);
        }
    }
    Ok(())
}

/// What a data directory takes, and which parts of it take how much.
fn kept(data: &Path, captured: u64) -> Result<String> {
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(data)? {
        let path = entry?.path();
        if path.is_dir() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            parts.push((machine::disk_bytes(&path)?, name));
        }
    }
    parts.sort_unstable_by(|a, b| b.cmp(a));
    let parts: Vec<_> = parts.iter().map(|(bytes, name)| format!("{name} {:.1} MiB", mib(*bytes))).collect();
    let ratio = captured as f64 / machine::disk_bytes(data)? as f64;
    Ok(format!("1/{ratio:.0}: {}", parts.join(", ")))
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
