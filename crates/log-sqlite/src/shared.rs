//! What the log's threads and tasks share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::Config;
use crate::ledger::Ledger;
use crate::measure::Measures;
use crate::state_file::StateFile;

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
}

/// What need not happen at once: keeps how far the log was read, deletes files that were purged, writes full ones
/// back. Ends with the task that runs it.
pub(crate) async fn keep_house(shared: Arc<Shared>, state: Arc<StateFile>) {
    loop {
        shared.housekeeping.notified().await;
        tokio::time::sleep(shared.config.acknowledgement_flush).await;
        if shared.ledger().is_dirty()
            && let Err(error) = state.save(Arc::clone(&shared)).await
        {
            // What was acknowledged since is delivered again after a crash.
            tracing::warn!(%error, "could not keep how far the log was read");
        }
        let rounds = Arc::clone(&shared);
        let work = tokio::task::spawn_blocking(move || tidy(&rounds));
        if let Err(error) = work.await {
            tracing::error!(%error, "tidying the log broke off");
        }
        let health = shared.ledger().health();
        shared.measures.waiting(health);
    }
}

fn tidy(shared: &Shared) {
    let gone = shared.ledger().forget_purged();
    for segment in gone {
        if let Err(error) = segment.delete() {
            // Tried again at the next start.
            tracing::warn!(%error, file = %segment.path().display(), "could not delete a log file that was read");
        }
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
