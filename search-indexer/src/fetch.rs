//! Fetching exchanges and deriving their documents.

use verbatim_core::model::{ExchangeId, ExchangeRecord, RecordMode, SearchDocument};
use verbatim_core::ports::{Archive, PortError, PortResult};
use verbatim_dialects::guarded;

use crate::derive;

/// What came of fetching an exchange.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// Its document.
    Document(Box<SearchDocument>),
    /// The archive no longer has it.
    Gone,
    /// No document can be derived of it; the reason.
    Unreadable(String),
}

/// Fetches the first of these exchanges from the archive, as many as have up to `bytes` of bodies together, and reads
/// them on a blocking thread.
///
/// # Errors
/// Only those that may pass.
pub(crate) async fn fetch(archive: &dyn Archive, ids: &[ExchangeId], bytes: u64) -> PortResult<Vec<Fetched>> {
    let records = archive.read_many(ids, bytes).await?;
    let derived = tokio::task::spawn_blocking(move || records.into_iter().map(derived).collect());
    derived.await.map_err(|error| PortError::transient("deriving documents was broken off", error))
}

fn derived(record: PortResult<Option<ExchangeRecord>>) -> Fetched {
    match record {
        Ok(Some(record)) => document(record),
        Ok(None) => Fetched::Gone,
        Err(error) => Fetched::Unreadable(error.to_string()),
    }
}

fn document(record: ExchangeRecord) -> Fetched {
    let ExchangeRecord { exchange, heads, bodies } = record;
    // Without a body that can't be read it is still found by its columns and by the other leg.
    let bodies = if exchange.record == RecordMode::Full { bodies } else { Vec::new() };
    match guarded(|| derive::document(exchange, &heads, &bodies)) {
        Ok(document) => Fetched::Document(Box::new(document)),
        Err(stumbled) => Fetched::Unreadable(stumbled.to_string()),
    }
}
