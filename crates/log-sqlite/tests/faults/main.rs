//! What happens to a log whose files are torn, whose disk is full, whose process is killed.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod damage;
mod empty_files;
mod refused;
mod room;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{CaptureLog, Message, MessageKind, PullLimit, Sequence};
use verbatim_log_sqlite::{Config, SqliteLog};

const ALL: PullLimit = PullLimit { messages: usize::MAX, bytes: usize::MAX, wait: Duration::ZERO };

fn end(n: usize) -> Message {
    let payload = Bytes::from(format!("end {n} {}", "x".repeat(1500)));
    Message { kind: MessageKind::End, gateway: "gateway".into(), exchange: ExchangeId::mint(), payload }
}

/// Everything comes from the files.
fn config(directory: &Path) -> Config {
    Config { cache_bytes: 0, commit_interval: Duration::ZERO, ..Config::new(directory) }
}

async fn open(directory: &Path) -> SqliteLog {
    SqliteLog::open(config(directory)).await.unwrap()
}

async fn append(log: &SqliteLog, messages: Vec<Message>) -> Vec<Sequence> {
    log.append(messages).await.into_iter().map(Result::unwrap).collect()
}

/// A log with so many messages, closed in order, and their places.
async fn filled(directory: &Path, messages: usize) -> (Vec<Sequence>, Vec<Message>) {
    let messages: Vec<_> = (0..messages).map(end).collect();
    let log = open(directory).await;
    let sequences = append(&log, messages.clone()).await;
    log.shutdown().await.unwrap();
    (sequences, messages)
}

fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_str().unwrap().ends_with(ending));
    files.sort();
    files
}

fn log_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = files(directory, ".db");
    files.retain(|file| file.file_name().unwrap().to_str().unwrap().starts_with("log-"));
    files
}

/// Writes a log file's write-ahead log back, as happens once it is full.
fn write_back(file: &Path) {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}
