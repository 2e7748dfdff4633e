//! What the archive keeps of an agent that sends its whole history with every turn.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Bench;
use crate::http::{Connection, post};
use crate::report::Report;
use crate::targets::{Mock, Verbatim};
use crate::{agent, machine};

/// Several conversations, so that what an empty archive takes does not weigh.
const CONVERSATIONS: u64 = 10;

/// Bytes on disk (records, blocks, search index) against bytes of bodies captured.
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
    verbatim.settled().await?;
    verbatim.process.stop()?;
    let archive = machine::disk_bytes(&data.join("archive"))?;
    let all = machine::disk_bytes(&data)?;
    let ratio = captured as f64 / archive as f64;
    report.budget(
        &format!("archive of {CONVERSATIONS} agent conversations of {} turns", agent::TURNS),
        format!(
            "1/{ratio:.0} of {:.1} MiB captured; 1/{:.0} with search index and log",
            captured as f64 / 1_048_576.0,
            captured as f64 / all as f64
        ),
        "<= 1/25",
        ratio >= 25.0,
    );
    Ok(())
}
