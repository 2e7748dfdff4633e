//! What the request path hands over.

use std::sync::Arc;

use bytes::Bytes;
use verbatim_core::model::{Attempt, Caller, ChunkTime, Leg, Outcome, ProviderDialect, Timestamp};

use super::{Exchange, HeadBytes};

/// An event and the exchange it belongs to.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) event: Event,
}

/// Something that happened to an exchange. An exchange's events come in the order they happened; the first is its
/// start, the last its end, and what comes behind that is ignored.
#[derive(Debug)]
pub(crate) enum Event {
    /// The call goes to its provider.
    Start(Box<StartFacts>),
    /// An answer's head passed.
    Head(Box<HeadFacts>),
    /// Consecutive chunks of a body passed.
    Chunks {
        leg: Leg,
        /// Where they begin.
        offset: u64,
        /// All of them, joined.
        bytes: Bytes,
        /// Where each begins, and when it passed.
        times: Vec<ChunkTime>,
    },
    /// It is over.
    End(Box<EndFacts>),
}

/// What is known when a call begins.
#[derive(Debug)]
pub(crate) struct StartFacts {
    pub(crate) began_at: Timestamp,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) version: &'static str,
    pub(crate) headers: HeadBytes,
    pub(crate) caller: Caller,
    pub(crate) provider: String,
    pub(crate) dialect: ProviderDialect,
    pub(crate) upstream_url: String,
    pub(crate) session: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) trace_id: Option<String>,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct HeadFacts {
    pub(crate) leg: Leg,
    pub(crate) version: &'static str,
    pub(crate) status: u16,
    pub(crate) headers: HeadBytes,
    pub(crate) at_us: u64,
}

/// What is known when a call is over.
#[derive(Debug)]
pub(crate) struct EndFacts {
    pub(crate) outcome: Outcome,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) duration_us: u64,
    pub(crate) first_byte_us: Option<u64>,
    pub(crate) relay_us: Option<u64>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) trailers: Option<HeadBytes>,
    pub(crate) notes: Vec<String>,
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) provider: String,
}
