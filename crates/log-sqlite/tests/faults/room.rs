//! Too little room, and room that is given back.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use verbatim_core::ports::{CaptureLog, Floors, Message, PortError, Sequence};
use verbatim_log_sqlite::{Config, SqliteLog};

use super::{append, config, end, files, log_files};

#[tokio::test]
async fn a_full_log_refuses_what_does_not_fit_and_takes_it_once_there_is_room() {
    let directory = TempDir::new().unwrap();
    let log = SqliteLog::open(Config { max_bytes: 100_000, ..config(directory.path()) }).await.unwrap();
    let mut written: Vec<Sequence> = Vec::new();
    let full = loop {
        match log.append(vec![end(0)]).await.remove(0) {
            Ok(sequence) => written.push(sequence),
            Err(error) => break error,
        }
    };
    assert!(matches!(&full, PortError::Transient(why) if why.contains("the log is full")), "{full}");
    assert!((50..70).contains(&written.len()), "{} messages in 100,000 bytes", written.len());
    assert_eq!(log.health().await.unwrap().messages, written.len() as u64);
    let too_large = Message { payload: vec![0; 100_001].into(), ..end(0) };
    assert!(matches!(log.append(vec![too_large]).await[0], Err(PortError::Permanent(_))));
    // What is read is purged, and there is room for as much again.
    for _ in 0..3 {
        let last = *written.last().unwrap();
        log.purge(last + 1).await.unwrap();
        let before = written.len();
        let began = std::time::Instant::now();
        while written.len() < before + 40 {
            assert!(began.elapsed() < Duration::from_secs(30), "there is no room again");
            match log.append(vec![end(0)]).await.remove(0) {
                Ok(sequence) => written.push(sequence),
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
        }
    }
    log.shutdown().await.unwrap();
    assert!(written.is_sorted_by(|a, b| a < b));
}

#[tokio::test]
async fn a_disk_with_too_little_room_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let log =
        SqliteLog::open(Config { keep_free_bytes: u64::MAX, ..config(directory.path()) }).await.unwrap();
    let refused = log.append(vec![end(0)]).await.remove(0).unwrap_err();
    assert!(matches!(&refused, PortError::Transient(why) if why.contains("make room")), "{refused}");
    assert_eq!(log.floors().await.unwrap(), Floors::default());
    log.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_was_purged_leaves_the_disk() {
    let directory = TempDir::new().unwrap();
    let small = Config {
        segment_bytes: 10_000,
        acknowledgement_flush: Duration::from_millis(1),
        ..config(directory.path())
    };
    let log = SqliteLog::open(small).await.unwrap();
    let mut last = 0;
    for n in 0..50 {
        last = append(&log, vec![end(n)]).await[0];
    }
    assert!(log_files(directory.path()).len() >= 5);
    log.purge(last + 1).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while log_files(directory.path()).len() > 1 {
        assert!(tokio::time::Instant::now() < deadline, "{:?} are still there", log_files(directory.path()));
        tokio::task::yield_now().await;
    }
    log.shutdown().await.unwrap();
    assert!(files(directory.path(), "-wal").len() <= 1, "{:?}", files(directory.path(), "-wal"));
}

fn bytes(directory: &Path) -> u64 {
    // One may go meanwhile.
    files(directory, "").iter().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

/// Appends 8 MB to a log; gives the last one's place.
async fn append_much(log: &SqliteLog) -> Sequence {
    let much = (0..400).map(|n| Message { payload: vec![7; 20_000].into(), ..end(n) }).collect();
    *append(log, much).await.last().unwrap()
}

#[tokio::test]
async fn a_log_whose_messages_were_all_purged_takes_next_to_nothing_and_uses_no_sequence_twice() {
    const LITTLE: u64 = 1 << 20;
    let directory = TempDir::new().unwrap();
    let directory = directory.path();
    let prompt = || Config { acknowledgement_flush: Duration::from_millis(1), ..config(directory) };
    let is_little = async || {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while bytes(directory) > LITTLE {
            assert!(tokio::time::Instant::now() < deadline, "{:?} are still there", files(directory, ""));
            tokio::task::yield_now().await;
        }
    };
    // While it is open; and what comes then is kept.
    let log = SqliteLog::open(prompt()).await.unwrap();
    let last = append_much(&log).await;
    assert!(bytes(directory) > 8_000_000);
    log.purge(last + 1).await.unwrap();
    is_little().await;
    let next = append(&log, vec![end(1)]).await;
    assert!(next[0] > last);
    // After a crash with nothing in it.
    log.purge(next[0] + 1).await.unwrap();
    drop(log);
    let log = SqliteLog::open(prompt()).await.unwrap();
    let last = append_much(&log).await;
    assert!(last > next[0] + 400);
    // Once it was closed in order.
    log.purge(last + 1).await.unwrap();
    log.shutdown().await.unwrap();
    assert!(bytes(directory) < LITTLE, "{:?}", files(directory, ""));
    // Where an earlier process left much.
    let log = SqliteLog::open(prompt()).await.unwrap();
    let first = append(&log, vec![end(2)]).await;
    assert!(first[0] > last);
    let last = append_much(&log).await;
    log.shutdown().await.unwrap();
    let log = SqliteLog::open(prompt()).await.unwrap();
    log.purge(last + 1).await.unwrap();
    is_little().await;
    assert!(append(&log, vec![end(3)]).await[0] > last);
    log.shutdown().await.unwrap();
}
