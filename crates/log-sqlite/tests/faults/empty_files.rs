//! Files that a process began and never filled.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use verbatim_core::ports::{CaptureLog, Consumer, Sequence};
use verbatim_log_sqlite::{Config, SqliteLog};

use super::{ALL, append, config, end, filled, log_files, write_back};

/// A log whose last act was to begin a file for the message after `filled`'s, and whose first file goes once it is purged.
async fn goes_on_behind_an_empty_file(directory: &Path, first: Sequence) {
    let tidy = Config { acknowledgement_flush: Duration::from_millis(1), ..config(directory) };
    let log = SqliteLog::open(tidy.clone()).await.unwrap();
    let (one, two) = (end(1), end(2));
    let mut sequences = append(&log, vec![one.clone()]).await;
    assert!(sequences[0] > first);
    log.purge(sequences[0]).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while log_files(directory).len() > 1 {
        assert!(tokio::time::Instant::now() < deadline, "{:?} are still there", log_files(directory));
        tokio::task::yield_now().await;
    }
    sequences.extend(append(&log, vec![two.clone()]).await);
    log.shutdown().await.unwrap();
    let log = SqliteLog::open(tidy).await.unwrap();
    assert!(log.damage().set_aside.is_empty());
    assert_eq!(log.read(&sequences).await.unwrap(), [Some(one), Some(two)]);
    assert_eq!(log.next(Consumer::Recorder, ALL).await.unwrap().len(), 2);
    log.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_file_that_could_not_be_begun_takes_nothing_with_it_when_it_goes() {
    let directory = TempDir::new().unwrap();
    let (sequences, _) = filled(directory.path(), 1).await;
    File::create(directory.path().join(format!("log-{:020}.db", sequences[0] + 1))).unwrap();
    goes_on_behind_an_empty_file(directory.path(), sequences[0]).await;
}

#[tokio::test]
async fn a_file_that_was_closed_with_nothing_in_it_hides_nothing_that_comes_later() {
    let directory = TempDir::new().unwrap();
    let (sequences, _) = filled(directory.path(), 1).await;
    let begun = directory.path().join(format!("log-{:020}.db", sequences[0] + 1));
    write_back(&log_files(directory.path())[0]);
    std::fs::copy(&log_files(directory.path())[0], &begun).unwrap();
    let connection = rusqlite::Connection::open(&begun).unwrap();
    connection.execute_batch("DELETE FROM message; UPDATE contents SET entries = x'';").unwrap();
    drop(connection);
    goes_on_behind_an_empty_file(directory.path(), sequences[0]).await;
}
