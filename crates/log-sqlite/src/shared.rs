//! What the log's threads and tasks share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use verbatim_sqlite::bytes_on_disk;

use crate::Config;
use crate::ledger::Ledger;
use crate::measure::Measures;
use crate::queue::Queue;
use crate::segment::Segment;
use crate::state_file::StateFile;

/// A file that takes no more than that may stay though all that it held was purged: a new one takes a tenth of it.
const SPENT_BYTES: u64 = 1 << 20;

/// One open log.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) changed: Notify,
    pub(crate) housekeeping: Notify,
    pub(crate) measures: Measures,
    ledger: Mutex<Ledger>,
}

impl Shared {
    pub(crate) fn new(config: Config, ledger: Ledger, measures: Measures) -> Self {
        Self {
            config,
            changed: Notify::new(),
            housekeeping: Notify::new(),
            measures,
            ledger: Mutex::new(ledger),
        }
    }

    /// The log's memory. Held for moments, never over I/O.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest file, if it holds only what was purged and takes more room than it may.
    pub(crate) fn spent_file(&self) -> Option<Arc<Segment>> {
        let spent = self.ledger().spent_file();
        spent.filter(|segment| bytes_on_disk(segment.path()) > SPENT_BYTES)
    }
}

/// What need not happen at once: keeps how far the log was read, deletes files that were purged, writes full ones
/// back. Ends with the task that runs it.
pub(crate) async fn keep_house(shared: Arc<Shared>, state: Arc<StateFile>, queue: Arc<Queue>) {
    // An earlier process may have left something to be done.
    shared.housekeeping.notify_one();
    loop {
        shared.housekeeping.notified().await;
        tokio::time::sleep(shared.config.acknowledgement_flush).await;
        if shared.ledger().is_dirty()
            && let Err(error) = state.save(Arc::clone(&shared)).await
        {
            // What was acknowledged since is delivered again after a crash.
            tracing::warn!(%error, "could not keep how far the log was read");
        }
        let (rounds, queue) = (Arc::clone(&shared), Arc::clone(&queue));
        let work = tokio::task::spawn_blocking(move || tidy(&rounds, &queue));
        if let Err(error) = work.await {
            tracing::error!(%error, "tidying the log broke off");
        }
    }
}

/// Deletes the files that hold only what was purged, but for the newest.
pub(crate) fn delete_purged(shared: &Shared) {
    let gone = shared.ledger().forget_purged();
    for segment in gone {
        if let Err(error) = segment.delete() {
            // Tried again at the next start.
            tracing::warn!(%error, file = %segment.path().display(), "could not delete a log file that was read");
        }
    }
}

fn tidy(shared: &Shared, queue: &Queue) {
    delete_purged(shared);
    if shared.spent_file().is_some() {
        queue.begin_file();
    }
    loop {
        let segment = shared.ledger().next_to_write_back(shared.config.write_back_bytes);
        let Some(segment) = segment else { return };
        if let Err(error) = segment.write_back() {
            // It stays in its write-ahead log, and can be read there.
            tracing::warn!(%error, file = %segment.path().display(), "could not write a log file back");
        }
        // A long backlog is many files: those that nobody reads need no handles.
        segment.close();
    }
}
