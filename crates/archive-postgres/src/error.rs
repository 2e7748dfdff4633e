//! What a PostgreSQL error means to the caller of a port, and what can be done about it here.

use std::error::Error as _;
use std::fmt::Display;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use verbatim_core::ports::PortError;

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something in the rows: without the wrong one, the others go through.
    Row,
    /// The transaction lost against another: the same again may go through at once.
    Again,
    /// The connection is gone: another one may do.
    Gone,
    /// A partition is missing, or went while it was being read: what is known of partitions is out of date.
    Stale,
    /// It may pass.
    Transient,
    /// Somebody has to mend it, and can while we wait: credentials, privileges, a database or schema that is not there or
    /// is another one.
    Mendable,
    /// It will not pass.
    Permanent,
}

/// An error on the way to a port's.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) why: String,
}

impl Fault {
    pub(crate) fn transient(why: impl Display) -> Self {
        Self { kind: Kind::Transient, why: why.to_string() }
    }

    pub(crate) fn permanent(why: impl Display) -> Self {
        Self { kind: Kind::Permanent, why: why.to_string() }
    }

    pub(crate) fn mendable(why: impl Display) -> Self {
        Self { kind: Kind::Mendable, why: why.to_string() }
    }

    /// For whoever starts: what has to be mended is told at once. Who runs already waits for it, since what it was to store
    /// waits, too.
    pub(crate) fn at_start(self) -> PortError {
        match self.kind {
            Kind::Mendable => PortError::Permanent(self.why),
            _ => self.into(),
        }
    }

    /// Whether the same may go through at once, on another connection or with what is newly known.
    pub(crate) fn is_worth_another_try(&self) -> bool {
        matches!(self.kind, Kind::Again | Kind::Gone | Kind::Stale)
    }
}

impl From<Fault> for PortError {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            Kind::Row | Kind::Permanent => Self::Permanent(fault.why),
            Kind::Again | Kind::Gone | Kind::Stale | Kind::Transient | Kind::Mendable => {
                Self::Transient(fault.why)
            }
        }
    }
}

impl From<PortError> for Fault {
    fn from(error: PortError) -> Self {
        let kind = if error.is_transient() { Kind::Transient } else { Kind::Permanent };
        Self { kind, why: error.to_string() }
    }
}

/// Says what was being done when PostgreSQL failed.
pub(crate) trait Doing<T> {
    /// `doing` completes the sentence "could not ...", such as `insert an exchange`.
    fn doing(self, doing: impl Display) -> Result<T, Fault>;
}

impl<T> Doing<T> for Result<T, Error> {
    fn doing(self, doing: impl Display) -> Result<T, Fault> {
        self.map_err(|error| Fault {
            kind: kind(&error),
            why: format!("could not {doing}: {}", describe(&error)),
        })
    }
}

/// The error without what the server says of the row, which may hold what somebody asked a model.
pub(crate) fn describe(error: &Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", db.message(), db.code().code());
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// Sorts an error by what can be done. The classes are those of PostgreSQL's appendix "Error Codes".
pub(crate) fn kind(error: &Error) -> Kind {
    let Some(db) = error.as_db_error() else {
        return if error.is_closed() || is_io(error) { Kind::Gone } else { of_client(error) };
    };
    let code = db.code();
    if *code == SqlState::CHECK_VIOLATION && db.message().starts_with("no partition of relation") {
        return Kind::Stale;
    }
    // A partition that was dropped between planning and running a query.
    if *code == SqlState::UNDEFINED_TABLE
        || (*code == SqlState::INTERNAL_ERROR && db.message().contains("could not open relation"))
    {
        return Kind::Stale;
    }
    // A standby that is about to be promoted, or the former primary.
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        return Kind::Transient;
    }
    // What was prepared before a migration; on another connection it is prepared anew.
    if *code == SqlState::FEATURE_NOT_SUPPORTED && db.message().starts_with("cached plan") {
        return Kind::Gone;
    }
    of_state(code.code())
}

/// By its SQLSTATE: five characters, of which the first two are the class. What is none is no reason to fail.
fn of_state(code: &str) -> Kind {
    match code {
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => Kind::Gone,
        "XX001" | "XX002" => Kind::Permanent,
        // Our own statements are as they are.
        "42601" => Kind::Permanent,
        code => match code.get(..2).unwrap_or_default() {
            "40" => Kind::Again,
            "21" | "22" | "23" | "54" | "P0" => Kind::Row,
            "08" | "53" | "55" | "57" | "58" | "XX" => Kind::Transient,
            "28" | "3D" | "3F" | "42" => Kind::Mendable,
            _ => Kind::Permanent,
        },
    }
}

fn is_io(error: &Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// An error that the client itself made: of a value that does not fit, or of the server's name or answers.
fn of_client(error: &Error) -> Kind {
    let text = error.to_string();
    if text.contains("serializing") || text.contains("encoding") { Kind::Row } else { Kind::Transient }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_sorted_by_their_class_and_what_is_no_state_harms_nothing() {
        for (code, kind) in [
            ("40001", Kind::Again),
            ("57P01", Kind::Gone),
            ("22021", Kind::Row),
            ("53300", Kind::Transient),
            ("28P01", Kind::Mendable),
            ("3D000", Kind::Mendable),
            ("42501", Kind::Mendable),
            ("42703", Kind::Mendable),
            ("42601", Kind::Permanent),
            ("", Kind::Permanent),
            ("4", Kind::Permanent),
            ("€0001", Kind::Permanent),
        ] {
            assert_eq!(of_state(code), kind, "{code:?}");
        }
    }
}
