//! The role that keeps the search index up with the archive: it claims what the archive says is to be indexed, derives
//! a document of each exchange from its bytes, writes them to the index, and only then lets the archive forget the
//! claim.
//!
//! Knows ports only: which archive and which index stand behind them is not its business.
#![warn(
    clippy::string_slice,
    reason = "texts are anybody's: an offset need not be at a character's boundary"
)]

mod backoff;
mod config;
mod derive;
mod fetch;
mod measure;
mod pass;
mod rebuild;
mod role;
mod store;

use std::sync::Arc;

use tokio::sync::{Notify, RwLock};
use verbatim_core::ports::{Archive, Pace, PortError, SearchIndex};

pub use config::IndexerConfig;
pub use derive::document;
pub use rebuild::{Progress, rebuild};
pub use role::run;

/// What the indexer needs of the outside.
#[derive(Clone)]
pub struct Ports {
    /// Where exchanges come from.
    pub archive: Arc<dyn Archive>,
    /// Where documents go.
    pub index: Arc<dyn SearchIndex>,
    /// When to go on with what can wait.
    pub pace: Arc<dyn Pace>,
    /// Told after every commit by a recorder in the same process, so that nothing need be polled.
    pub committed: Arc<Notify>,
    /// Who works on the outbox in this process.
    pub outbox_lock: OutboxLock,
}

/// The right to work on the outbox. Clones share it: a rebuild in the process that runs the role takes turns with it.
#[derive(Debug, Clone, Default)]
pub struct OutboxLock(Arc<RwLock<()>>);

/// Why the indexer stopped before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum IndexerError {
    /// A port failed in a way that waiting does not mend.
    #[error(transparent)]
    Port(#[from] PortError),
    /// It was told to stop before it was done.
    #[error("stopped before it was done")]
    Stopped,
}
