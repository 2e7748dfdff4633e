//! What goes on beside relaying and recording.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::{Archive, PortError, PortResult};
use verbatim_search_indexer::{IndexerConfig, IndexerError, OutboxLock, Ports, Progress};
use verbatim_telemetry::Metrics;

use super::parts::Working;
use super::stores::IndexStore;
use crate::waits::Waits;

/// How often histograms are folded.
const UPKEEP: Duration = Duration::from_secs(5);
/// How often an index that was complete is asked whether it still is.
const LOOK: Duration = Duration::from_secs(30);

/// Keeps the index up with the archive. One that is new, or was damaged or wiped, is built anew first.
///
/// # Errors
/// What waiting does not mend; where an index that was fit for use no longer is, that is told and waited for.
pub(super) async fn index_all(
    archive: Arc<dyn Archive>,
    index: Arc<dyn IndexStore>,
    working: Working,
    waits: Waits,
    token: CancellationToken,
) -> Result<()> {
    let Working { committed, pace } = working;
    let ports = Ports { archive, index: index.clone(), committed, pace, outbox_lock: OutboxLock::default() };
    let asked = waits.until("the search index", || is_incomplete(&*ports.archive, &*index));
    match token.run_until_cancelled(asked).await {
        None => return Ok(()),
        Some(anew) => {
            if anew? {
                build_anew(&index.indexing(), &ports, &token).await?;
            }
        }
    }
    let indexing =
        async { Ok(verbatim_search_indexer::run(index.indexing(), ports.clone(), token.clone()).await?) };
    tokio::try_join!(indexing, mend(index.as_ref(), &ports, &token)).map(drop)
}

/// Whether the index is new, or was damaged or wiped, or the archive did not note what changed: nobody was there to read it.
async fn is_incomplete(archive: &dyn Archive, index: &dyn IndexStore) -> PortResult<bool> {
    Ok(archive.keep_outbox().await? || index.needs_rebuild().await?)
}

/// Builds the index anew whenever it turns out to be incomplete.
async fn mend(index: &dyn IndexStore, ports: &Ports, token: &CancellationToken) -> Result<()> {
    let mut every = tokio::time::interval(LOOK);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    every.tick().await;
    while token.run_until_cancelled(every.tick()).await.is_some() {
        match token.run_until_cancelled(is_incomplete(&*ports.archive, index)).await {
            Some(Ok(true)) => {
                if let Err(error) = build_anew(&index.indexing(), ports, token).await {
                    tracing::error!("the search index can't be built anew: {error:#}");
                }
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "can't find out whether the search index is complete");
            }
            Some(Ok(false)) | None => {}
        }
    }
    Ok(())
}

async fn build_anew(config: &IndexerConfig, ports: &Ports, token: &CancellationToken) -> Result<()> {
    match verbatim_search_indexer::rebuild(config, ports, token, |_| {}).await {
        Ok(Progress { done: 0, .. }) | Err(IndexerError::Stopped) => Ok(()),
        Ok(Progress { done, .. }) => {
            tracing::info!(exchanges = done, "the search index was built anew");
            Ok(())
        }
        // Another process builds it, too, and began later: what that one has not seen is in the outbox.
        Err(IndexerError::Port(PortError::Conflict(why))) => {
            tracing::info!("the search index is built anew by another process: {why}");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Keeps what metrics gather from growing.
pub(super) async fn upkeep(metrics: Metrics, token: CancellationToken) -> Result<()> {
    let mut every = tokio::time::interval(UPKEEP);
    while token.run_until_cancelled(every.tick()).await.is_some() {
        metrics.upkeep();
    }
    Ok(())
}
