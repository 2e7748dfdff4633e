//! Fetching an exchange and deriving its document.

use tokio::sync::Semaphore;
use verbatim_core::model::{Exchange, ExchangeHeads, ExchangeId, Leg, LegBody, RecordMode, SearchDocument};
use verbatim_core::ports::{Archive, PortError, PortResult};

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

/// Bodies in memory at a time, in KiB.
pub(crate) struct BodyBudget {
    permits: Semaphore,
    all: u32,
}

impl BodyBudget {
    pub(crate) fn new(bytes: u64) -> Self {
        let all = u32::try_from(bytes / 1024).unwrap_or(u32::MAX >> 4).max(1);
        Self { permits: Semaphore::new(all as usize), all }
    }

    /// Runs `work` once there is room for so many bytes; more than all of it is allowed alone.
    async fn within<T>(&self, bytes: u64, work: impl Future<Output = T>) -> T {
        let wanted = u32::try_from(bytes / 1024).unwrap_or(u32::MAX).min(self.all);
        // Never closed, so that there always comes a permit.
        let _permit = self.permits.acquire_many(wanted).await;
        work.await
    }
}

/// Fetches an exchange from the archive and reads it on a blocking thread.
///
/// # Errors
/// Only those that may pass.
pub(crate) async fn fetch(archive: &dyn Archive, id: ExchangeId, budget: &BodyBudget) -> PortResult<Fetched> {
    let (exchange, heads) = match archive.get(id).await {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Fetched::Gone),
        Err(error) => return unreadable(error),
    };
    let stored = heads.legs.iter().map(|info| info.stored).sum();
    budget.within(stored, read(archive, exchange, heads)).await
}

async fn read(archive: &dyn Archive, exchange: Exchange, heads: ExchangeHeads) -> PortResult<Fetched> {
    let id = exchange.id;
    let mut bodies = [None, None];
    if exchange.record == RecordMode::Full {
        for (body, upstream) in bodies.iter_mut().zip([Leg::UpstreamRequest, Leg::UpstreamResponse]) {
            let Some(leg) = derive::leg_to_read(&heads.legs, upstream) else { continue };
            *body = match archive.body(id, leg).await {
                Ok(body) => body,
                Err(error) if error.is_transient() => return Err(error),
                // It is still found by its columns and by the other leg.
                Err(error) => {
                    tracing::warn!(exchange = %id, %leg, %error, "indexed without a body that can't be read");
                    None
                }
            };
        }
    }
    let derived = tokio::task::spawn_blocking(move || {
        let [request, response]: [Option<LegBody>; 2] = bodies;
        derive::document(exchange, &heads, request.as_ref(), response.as_ref())
    });
    Ok(match derived.await {
        Ok(document) => Fetched::Document(Box::new(document)),
        Err(error) => Fetched::Unreadable(format!("deriving its text failed: {error}")),
    })
}

fn unreadable(error: PortError) -> PortResult<Fetched> {
    if error.is_transient() { Err(error) } else { Ok(Fetched::Unreadable(error.to_string())) }
}
