//! A process that is killed while it writes takes nothing that was reported durable with it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::task::JoinSet;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{CaptureLog, Consumer, Message, MessageKind, PullLimit, Sequence};
use verbatim_log_sqlite::{Config, SqliteLog};

/// Tells the child where to write; without it, the child's part is nothing.
const DIRECTORY: &str = "VERBATIM_TEST_LOG_DIRECTORY";

fn config(directory: &Path) -> Config {
    // Small files: kills fall on the making of new ones too.
    Config { segment_bytes: 100_000, commit_interval: Duration::ZERO, ..Config::new(directory) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_reported_durable_is_there_and_no_sequence_comes_twice() {
    let directory = TempDir::new().unwrap();
    let mut known: Vec<(Sequence, String)> = Vec::new();
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut reported = 0;
        // Reads on to the end after the kill: what stands in the pipe was reported before it.
        for line in lines.map_while(Result::ok) {
            // The kill may have cut the last line short.
            let whole = line.strip_prefix("durable ").and_then(|line| line.strip_suffix(" ."));
            let Some((sequence, text)) = whole.and_then(|line| line.split_once(' ')) else { continue };
            known.push((sequence.parse().unwrap(), text.to_owned()));
            reported += 1;
            if reported == 100 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(reported >= 100 * round, "the child ended by itself after {reported} messages");
    }
    known.sort_unstable();
    assert!(known.is_sorted_by(|(a, _), (b, _)| a < b), "a sequence came twice");
    let log = SqliteLog::open(config(directory.path())).await.unwrap();
    assert!(log.damage().set_aside.is_empty(), "{:?}", log.damage());
    let sequences: Vec<_> = known.iter().map(|(sequence, _)| *sequence).collect();
    let read = log.read(&sequences).await.unwrap();
    for (message, (sequence, text)) in read.iter().zip(&known) {
        let payload = message.as_ref().map(|message| &message.payload[..]);
        assert!(payload == Some(text.as_bytes()), "at {sequence}: {:?} bytes", payload.map(<[u8]>::len));
    }
    let all = PullLimit { messages: usize::MAX, bytes: usize::MAX, wait: Duration::ZERO };
    assert!(log.next(Consumer::Recorder, all).await.unwrap().len() >= known.len());
    log.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the part of the process that is killed: it ends only so"]
#[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
async fn writes_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let log = std::sync::Arc::new(SqliteLog::open(config(&directory)).await.unwrap());
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let log = log.clone();
        writers.spawn(async move {
            for n in 0u64.. {
                let text = format!("{}-{writer}-{n}-{}", std::process::id(), "x".repeat(1000));
                let message = Message {
                    kind: MessageKind::End,
                    gateway: "gateway".into(),
                    exchange: ExchangeId::mint(),
                    payload: Bytes::from(text.clone()),
                };
                let sequence = log.append(vec![message]).await.remove(0).unwrap();
                println!("durable {sequence} {text} .");
            }
        });
    }
    writers.join_all().await;
}
