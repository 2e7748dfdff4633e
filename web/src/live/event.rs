//! What onlookers are told.

use std::sync::Arc;

use verbatim_core::model::{Exchange, ExchangeId};

/// Something that happened, with its place in the order of happenings.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Rises by one.
    pub(crate) number: u64,
    pub(crate) happened: Happened,
}

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Happened {
    /// A call has been running for a moment; what is known of it so far.
    Started(Arc<Exchange>),
    /// A call that was told as started has ended, and will be archived in a moment.
    Ended(ExchangeId),
    /// An exchange is archived.
    Archived(Arc<Exchange>),
    /// So many things happened that can't be told; 0 where their number is not known.
    Missed(u64),
}
