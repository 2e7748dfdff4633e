//! The write-ahead log of a file, kept small.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;

/// Past so many times the size at which the write-ahead log is written back by itself, the writer waits for the
/// readers that keep it from starting over.
const WAL_PATIENCE: u64 = 4;
/// What the write-ahead log may take while nothing is written.
pub(super) const WAL_AT_REST: u64 = 1 << 20;
/// Readers are waited for so long.
const WAL_WAIT: Duration = Duration::from_millis(200);

/// Watches that readers who overlap for long don't let the write-ahead log grow without bound.
pub(super) struct Wal {
    file: PathBuf,
    limit: u64,
    /// Waiting for readers is tried again only when the log has grown to this: one that reads for minutes (a backup)
    /// must not slow every commit.
    patient_until: u64,
    busy_timeout: Duration,
}

impl Wal {
    pub(super) fn of(connection: &Connection) -> Self {
        let pragma = |name: &str| {
            let value = connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            value.ok().and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
        };
        let limit = pragma("journal_size_limit").max(1 << 20).saturating_mul(WAL_PATIENCE);
        Self {
            file: PathBuf::from(format!("{}-wal", connection.path().unwrap_or_default())),
            limit,
            patient_until: limit,
            busy_timeout: Duration::from_millis(pragma("busy_timeout")),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |file| file.len())
    }

    /// Cuts it while nothing is written; where readers are in the way, the next rest tries again.
    pub(super) fn rest(&mut self, connection: &Connection) {
        match self.truncate(connection) {
            Ok(true) => self.patient_until = self.limit,
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "could not write the write-ahead log back at rest"),
        }
    }

    /// False where readers kept it from being done.
    fn truncate(&self, connection: &Connection) -> rusqlite::Result<bool> {
        connection.busy_timeout(WAL_WAIT)?;
        let truncated = truncate_wal(connection);
        connection.busy_timeout(self.busy_timeout)?;
        truncated
    }

    pub(super) fn keep_small(&mut self, connection: &Connection) {
        let length = self.bytes();
        if length <= self.patient_until {
            return;
        }
        self.patient_until = match self.truncate(connection) {
            Ok(true) => self.limit,
            Ok(false) => {
                tracing::warn!(bytes = length, "long reads keep the write-ahead log from being written back");
                length.saturating_add(self.limit)
            }
            Err(error) => {
                tracing::warn!(%error, bytes = length, "could not write the write-ahead log back");
                length.saturating_add(self.limit)
            }
        };
    }
}

/// Writes the write-ahead log back and cuts it; false where readers kept it from being done.
pub(super) fn truncate_wal(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        .map(|busy| busy == 0)
}
