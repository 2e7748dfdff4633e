//! What an SQLite error means to the caller of a port.

use std::fmt::Display;

use rusqlite::{Error, ErrorCode};
use verbatim_core::ports::{PortError, PortResult};

/// Sorts an SQLite error by whether waiting helps. A full disk, a busy file, an I/O error or a lack of memory or
/// file handles may pass; a violated constraint, a corrupt file or a wrong statement will not.
pub fn classify(doing: impl Display, error: &Error) -> PortError {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory
            | ErrorCode::CannotOpen
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::SchemaChanged
            | ErrorCode::OperationInterrupted
            | ErrorCode::OperationAborted,
        ) => PortError::transient(doing, error),
        _ => PortError::permanent(doing, error),
    }
}

/// Says what was being done when SQLite failed, and turns the error into a port's.
pub trait Doing<T> {
    /// `doing` completes the sentence "could not ...", such as `insert an exchange`.
    fn doing(self, doing: impl Display) -> PortResult<T>;
}

impl<T> Doing<T> for Result<T, Error> {
    fn doing(self, doing: impl Display) -> PortResult<T> {
        self.map_err(|error| classify(format_args!("could not {doing}"), &error))
    }
}

/// The same error for one more of those that wait for it.
pub(crate) fn again(error: &PortError) -> PortError {
    match error {
        PortError::Transient(why) => PortError::Transient(why.clone()),
        PortError::Permanent(why) => PortError::Permanent(why.clone()),
        PortError::Conflict(why) => PortError::Conflict(why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn failure(code: i32) -> Error {
        Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn what_may_pass_is_transient_and_what_will_not_is_permanent() {
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_BUSY, ffi::SQLITE_IOERR, ffi::SQLITE_NOMEM] {
            assert!(classify("writing", &failure(code)).is_transient(), "{code}");
        }
        for code in [ffi::SQLITE_CONSTRAINT, ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_TOOBIG] {
            assert!(matches!(classify("writing", &failure(code)), PortError::Permanent(_)), "{code}");
        }
    }
}
