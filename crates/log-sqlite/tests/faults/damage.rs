//! Files that are torn, cut short, overwritten or gone.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use verbatim_core::ports::{CaptureLog, Consumer, Message, Sequence};

use super::{ALL, append, end, files, filled, log_files, open, write_back};

fn scribble(file: &Path, at: u64, bytes: usize) {
    let mut file = OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&vec![0xa5; bytes]).unwrap();
}

fn with_wal(file: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", file.display()))
}

/// Copies the files as a crash would leave them.
fn crash_image(from: &Path, to: &Path) {
    for file in files(from, "").into_iter().filter(|file| !file.ends_with("lock")) {
        if !file.to_str().unwrap().ends_with("-shm") {
            std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
    }
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
