//! The connections that callers make to a port: how many there may be at a time, how long one may be open that does
//! nothing, and who stands behind proxies. The first two would otherwise be for anybody to choose who reaches the port, until the process has no file
//! descriptors left for its own files.
//!
//! It must not know what is served.

mod attend;
mod door;
mod line;
mod network;
mod proxies;
mod unread;

use std::time::Duration;

pub use attend::attend;
pub use door::{Arrived, Door, Slot};
pub use line::{Busy, Line};
pub use network::{Network, NetworkError};
pub use proxies::caller_address;
pub use unread::{Stalled, Watched};

/// What a port gives its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; further callers wait until one ends.
    pub connections: usize,
    /// A connection has so long for the head of its first request.
    pub head: Duration,
    /// A connection may be without a call for so long; after twice as long it is closed at the latest.
    pub keep_alive: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 512, head: Duration::from_secs(30), keep_alive: Duration::from_secs(600) }
    }
}
