//! What happens to a log whose files are torn, whose disk is full, whose process is killed.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{
    CaptureLog, Consumer, Floors, Message, MessageKind, PortError, PullLimit, Sequence,
};
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

fn scribble(file: &Path, at: u64, bytes: usize) {
    let mut file = OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&vec![0xa5; bytes]).unwrap();
}

fn with_wal(file: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", file.display()))
}

/// Writes a log file's write-ahead log back, as happens once it is full.
fn write_back(file: &Path) {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

/// What is left of a log is what was in it, in its place; the log goes on, and uses no sequence twice.
async fn goes_on(directory: &Path, sequences: &[Sequence], messages: &[Message]) -> usize {
    let log = open(directory).await;
    let read = log.read(sequences).await.unwrap();
    for (read, message) in read.iter().zip(messages) {
        assert!(read.as_ref().is_none_or(|read| read == message), "{read:?}");
    }
    let kept = read.iter().flatten().count();
    let ends = log.next(Consumer::Recorder, ALL).await.unwrap();
    assert_eq!(ends.len(), kept);
    let more = append(&log, vec![end(0)]).await;
    assert!(more[0] > *sequences.last().unwrap(), "{more:?}");
    log.shutdown().await.unwrap();
    kept
}

#[tokio::test]
async fn of_a_file_with_a_broken_page_everything_else_is_kept() {
    let directory = TempDir::new().unwrap();
    let (sequences, messages) = filled(directory.path(), 400).await;
    let file = log_files(directory.path()).remove(0);
    write_back(&file);
    scribble(&file, 8192 * 40, 8192);
    scribble(&file, 8192 * 60, 8192);
    // Reading finds it, tells, and reads on.
    let kept = goes_on(directory.path(), &sequences, &messages).await;
    assert!((385..400).contains(&kept), "{kept} of 400 kept");
}

#[tokio::test]
async fn of_a_file_that_was_being_written_and_broke_everything_else_is_kept() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path()).await;
    let messages: Vec<_> = (0..400).map(end).collect();
    let sequences = append(&log, messages.clone()).await;
    let image = TempDir::new().unwrap();
    crash_image(directory.path(), image.path());
    log.shutdown().await.unwrap();
    let file = log_files(image.path()).remove(0);
    write_back(&file);
    scribble(&file, 8192 * 40, 8192);
    scribble(&file, 8192 * 60, 8192);
    let kept = goes_on(image.path(), &sequences, &messages).await;
    assert!((385..400).contains(&kept), "{kept} of 400 kept");
    assert_eq!(files(image.path(), ".damaged").len(), 1);
    assert!(!image.path().join("salvage").exists());
    // What was saved is sound.
    let log = open(image.path()).await;
    assert!(log.damage().set_aside.is_empty());
    assert_eq!(log.next(Consumer::Recorder, ALL).await.unwrap().len(), kept + 1);
    log.shutdown().await.unwrap();
}

/// Copies the files as a crash would leave them.
fn crash_image(from: &Path, to: &Path) {
    for file in files(from, "").into_iter().filter(|file| !file.ends_with("lock")) {
        if !file.to_str().unwrap().ends_with("-shm") {
            std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
    }
}

#[tokio::test]
async fn a_file_cut_short_keeps_its_beginning() {
    let directory = TempDir::new().unwrap();
    let (sequences, messages) = filled(directory.path(), 400).await;
    let file = log_files(directory.path()).remove(0);
    write_back(&file);
    File::options().write(true).open(&file).unwrap().set_len(8192 * 50).unwrap();
    let kept = goes_on(directory.path(), &sequences, &messages).await;
    assert!((200..260).contains(&kept), "{kept} of 400 kept");
    assert_eq!(files(directory.path(), ".damaged").len(), 1);
}

#[tokio::test]
async fn a_torn_write_ahead_log_keeps_its_beginning_and_no_sequence_comes_twice() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path()).await;
    let mut sequences = Vec::new();
    let messages: Vec<_> = (0..50).map(end).collect();
    for message in &messages {
        sequences.extend(append(&log, vec![message.clone()]).await);
    }
    let image = TempDir::new().unwrap();
    crash_image(directory.path(), image.path());
    log.shutdown().await.unwrap();
    let wal = with_wal(&log_files(image.path()).remove(0));
    let half = wal.metadata().unwrap().len() / 2;
    scribble(&wal, half, 4096);
    // Nor after it was opened and closed with nothing written.
    open(image.path()).await.shutdown().await.unwrap();
    let kept = goes_on(image.path(), &sequences, &messages).await;
    assert!((10..40).contains(&kept), "{kept} of 50 kept");
}

#[tokio::test]
async fn a_file_of_garbage_is_set_aside_and_its_neighbours_are_kept() {
    let directory = TempDir::new().unwrap();
    let (mut sequences, mut messages) = filled(directory.path(), 20).await;
    for _ in 0..2 {
        let (more, texts) = filled(directory.path(), 20).await;
        sequences.extend(more);
        messages.extend(texts);
    }
    let middle = log_files(directory.path()).remove(1);
    std::fs::write(&middle, vec![7; 100_000]).unwrap();
    let _ = std::fs::remove_file(with_wal(&middle));
    let log = open(directory.path()).await;
    assert_eq!(log.damage().set_aside, [PathBuf::from(format!("{}.damaged", middle.display()))]);
    log.shutdown().await.unwrap();
    assert_eq!(goes_on(directory.path(), &sequences, &messages).await, 40);
}

#[tokio::test]
async fn without_its_state_a_log_delivers_everything_again_and_uses_no_sequence_twice() {
    let directory = TempDir::new().unwrap();
    let (sequences, messages) = filled(directory.path(), 20).await;
    let log = open(directory.path()).await;
    let taken = log.next(Consumer::Recorder, ALL).await.unwrap();
    let taken: Vec<_> = taken.iter().map(|delivery| delivery.sequence).collect();
    log.acknowledge(Consumer::Recorder, &taken).await.unwrap();
    log.shutdown().await.unwrap();
    std::fs::write(directory.path().join("state.db"), vec![7; 20_000]).unwrap();
    assert_eq!(goes_on(directory.path(), &sequences, &messages).await, 20);
    assert_eq!(files(directory.path(), "state.db.damaged").len(), 1);
}

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
