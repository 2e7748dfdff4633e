//! Exchanges and what is said of them.

mod body;
mod dialect;
mod document;
mod exchange;
mod headers;
mod id;
mod limits;
mod outcome;
pub mod query;
mod stats;
mod time;
mod usage;

pub use body::{ChunkTime, LegBody, LegInfo, Timeline};
pub use dialect::{Dialect, ProviderDialect};
pub use document::SearchDocument;
pub use exchange::{Attempt, Caller, Exchange, ExchangeHeads, ExchangeRecord, MessageHead};
pub use headers::Headers;
pub use id::{ExchangeId, InvalidExchangeId};
pub use outcome::{Integrity, Leg, Outcome, Rank, RecordMode, UnknownWord};
pub use stats::{Bucket, DurationHistogram, ModelStats, Stats, Totals};
pub use time::Timestamp;
pub use usage::{Provenance, Usage};
