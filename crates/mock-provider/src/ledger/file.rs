//! The ledger's file: one entry a line.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::entry::Entry;

/// Entries that may wait for the disk. Beyond that the mock waits too: a ledger with holes could judge nothing.
const WAITING: usize = 4096;

/// Writes entries from a thread of its own, and flushes whenever none is waiting.
pub(super) struct LedgerFile {
    waiting: Mutex<Option<SyncSender<Arc<Entry>>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl LedgerFile {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        let (sender, receiver) = sync_channel(WAITING);
        let writer = std::thread::Builder::new().name("ledger".to_owned()).spawn(move || {
            if let Err(error) = write_all(file, &receiver) {
                tracing::error!(%error, "the ledger's file can't be written; its entries end here");
            }
        })?;
        Ok(Self { waiting: Mutex::new(Some(sender)), writer: Mutex::new(Some(writer)) })
    }

    pub(super) fn append(&self, entry: Arc<Entry>) {
        let sender = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(sender) = sender {
            // It fails only where writing failed, which the writer has reported.
            let _ = sender.send(entry);
        }
    }

    /// Returns once everything is written. Blocks.
    pub(super) fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }
}

fn write_all(mut file: BufWriter<File>, waiting: &Receiver<Arc<Entry>>) -> io::Result<()> {
    while let Ok(entry) = waiting.recv() {
        write_line(&mut file, &entry)?;
        while let Ok(entry) = waiting.try_recv() {
            write_line(&mut file, &entry)?;
        }
        file.flush()?;
    }
    Ok(())
}

fn write_line(file: &mut BufWriter<File>, entry: &Entry) -> io::Result<()> {
    serde_json::to_writer(&mut *file, entry)?;
    file.write_all(b"\n")
}
