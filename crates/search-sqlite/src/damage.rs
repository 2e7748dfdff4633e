//! Telling damage from other errors: a damaged index is made anew from the archive, and no document is to blame.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::ErrorCode;
use verbatim_core::ports::{PortError, PortResult};
use verbatim_sqlite::classify;

/// Whether a file turned out to be damaged. Clones share what they saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch(Arc<AtomicBool>);

impl Watch {
    pub(crate) fn saw_damage(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Turns an SQLite error into a port's. Damage is transient: it passes once the index is rebuilt.
    pub(crate) fn doing<T>(&self, doing: impl Display, result: rusqlite::Result<T>) -> PortResult<T> {
        result.map_err(|error| {
            if is_damage(&error) {
                self.0.store(true, Ordering::Relaxed);
                PortError::Transient(format!(
                    "could not {doing}: the search index is damaged ({error}); `verbatim reindex` makes it anew from \
                     the archive"
                ))
            } else {
                classify(format_args!("could not {doing}"), &error)
            }
        })
    }
}

/// Whether the file itself is at fault.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}
