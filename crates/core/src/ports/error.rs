//! Why a port could not do what it was asked.

use std::fmt;

/// Whether waiting helps: what the caller has to choose by.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Not now: unreachable, full, busy. The same call may go through later.
    #[error("{0}")]
    Transient(String),
    /// Never, for this input: the same call will fail again.
    #[error("{0}")]
    Permanent(String),
    /// Somebody else holds or changed what this call needs.
    #[error("{0}")]
    Conflict(String),
}

impl PortError {
    /// A transient error with what was being done and why it failed.
    pub fn transient(doing: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::Transient(format!("{doing}: {why}"))
    }

    /// A permanent error with what was being done and why it failed.
    pub fn permanent(doing: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::Permanent(format!("{doing}: {why}"))
    }

    /// Whether the same call may go through later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_))
    }
}

/// What a port answers.
pub type PortResult<T> = Result<T, PortError>;
