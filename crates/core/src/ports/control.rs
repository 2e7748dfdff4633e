//! What every process of an installation has to know at once, beside records.

use async_trait::async_trait;

use super::PortResult;
use crate::model::Timestamp;

/// A login at the dashboard that was ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logout {
    /// The login's number, which its cookie names.
    pub number: i64,
    /// When it would have ended by itself; until then the logout has to be remembered.
    pub until: Timestamp,
}

/// The control store, in the archive's database. Every adapter passes the contract suite in `testkit`.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// Ends a login; durable when it returns, and known from then on to whoever asks, in whichever process. Logouts
    /// whose time is over by `now` are forgotten.
    async fn log_out(&self, logout: Logout, now: Timestamp) -> PortResult<()>;

    /// Whether the login of this number was ended.
    async fn is_logged_out(&self, number: i64) -> PortResult<bool>;
}
