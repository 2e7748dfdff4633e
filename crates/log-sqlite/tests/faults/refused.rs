//! What a log refuses to open, and what it says once it is closed.

use tempfile::TempDir;
use verbatim_core::ports::{CaptureLog, Consumer, PortError};
use verbatim_log_sqlite::SqliteLog;

use super::{ALL, config, end, filled, log_files, open};

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    filled(directory.path(), 3).await;
    for file in [log_files(directory.path()).remove(0), directory.path().join("state.db")] {
        rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 7).unwrap();
        let refused = SqliteLog::open(config(directory.path())).await.err().unwrap();
        assert!(
            matches!(&refused, PortError::Permanent(why) if why.contains("schema 7, newer")),
            "{refused}"
        );
        rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 1).unwrap();
    }
    let log = open(directory.path()).await;
    assert_eq!(log.next(Consumer::Recorder, ALL).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_directory_that_is_in_use_is_a_conflict_until_it_is_closed() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path()).await;
    let refused = SqliteLog::open(config(directory.path())).await.err().unwrap();
    assert!(
        matches!(&refused, PortError::Conflict(why) if why.contains("in use by another process")),
        "{refused}"
    );
    log.shutdown().await.unwrap();
    open(directory.path()).await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_refused() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    let refused = SqliteLog::open(config(&file.join("log"))).await.err().unwrap();
    assert!(matches!(&refused, PortError::Permanent(why) if why.contains("file/log")), "{refused}");
}

#[tokio::test]
async fn a_closed_log_says_so() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path()).await;
    log.shutdown().await.unwrap();
    assert!(log.read(&[1]).await.is_err_and(|error| error.is_transient()));
    assert!(log.append(vec![end(0)]).await[0].as_ref().is_err_and(PortError::is_transient));
    assert!(log.next(Consumer::Recorder, ALL).await.is_err_and(|error| error.is_transient()));
    log.shutdown().await.unwrap();
}
