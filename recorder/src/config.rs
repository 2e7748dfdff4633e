//! Limits and intervals.

use std::time::Duration;

use verbatim_core::ports::Retention;

/// How a recorder works. The defaults suit one process on a laptop.
#[derive(Debug, Clone)]
pub struct RecorderConfig {
    /// Ends taken from the log at once.
    pub batch_messages: usize,
    /// Bytes of bodies in one batch, and in all that are in flight; a larger exchange is a batch of its own, and goes
    /// alone.
    pub batch_bytes: u64,
    /// Batches being committed at the same time.
    pub batches_in_flight: usize,
    /// How old a start must be before the watch asks the archive for it.
    pub hold: Duration,
    /// How often open exchanges are looked at.
    pub settle_every: Duration,
    /// How long an exchange runs before a checkpoint of it is archived, and between two checkpoints.
    pub checkpoint_after: Duration,
    /// How often the log is purged.
    pub purge_every: Duration,
    /// What was read stays in the log for so long, unless a quarter of its room is used: what a gateway writes of an
    /// exchange that was settled is found there by its end.
    pub keep_read: Duration,
    /// What may be deleted.
    pub retention: Retention,
    /// How often retention is enforced.
    pub retention_every: Duration,
    /// How long to go on emptying the log at shutdown.
    pub drain: Duration,
}

impl Default for RecorderConfig {
    fn default() -> Self {
        Self {
            batch_messages: 256,
            batch_bytes: 24 * 1024 * 1024,
            batches_in_flight: 3,
            hold: Duration::from_secs(10),
            settle_every: Duration::from_secs(2),
            checkpoint_after: Duration::from_secs(300),
            purge_every: Duration::from_secs(2),
            keep_read: Duration::ZERO,
            retention: Retention::default(),
            retention_every: Duration::from_secs(600),
            drain: Duration::from_secs(30),
        }
    }
}
