//! What goes on beside relaying and recording.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use verbatim_archive_sqlite::SqliteArchive;
use verbatim_core::ports::Pace;
use verbatim_search_indexer::{IndexerConfig, IndexerError, OutboxLock, Ports, Progress};
use verbatim_search_sqlite::SqliteSearch;
use verbatim_telemetry::Metrics;

/// How often histograms are folded.
const UPKEEP: Duration = Duration::from_secs(5);

/// Keeps the index up with the archive; one that is new or damaged is built anew first.
pub(super) async fn index_all(
    archive: Arc<SqliteArchive>,
    index: Arc<SqliteSearch>,
    committed: Arc<Notify>,
    pace: Arc<dyn Pace>,
    token: CancellationToken,
) -> Result<()> {
    let anew = index.needs_rebuild().await;
    let config = IndexerConfig::default();
    let ports = Ports { archive, index, committed, pace, outbox_lock: OutboxLock::default() };
    if anew {
        match verbatim_search_indexer::rebuild(&config, &ports, &token, |_| {}).await {
            Ok(Progress { done: 0, .. }) => {}
            Ok(Progress { done, .. }) => tracing::info!(exchanges = done, "the search index was built anew"),
            Err(IndexerError::Stopped) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(verbatim_search_indexer::run(config, ports, token).await?)
}

/// Keeps what metrics gather from growing.
pub(super) async fn upkeep(metrics: Metrics, token: CancellationToken) -> Result<()> {
    let mut every = tokio::time::interval(UPKEEP);
    while token.run_until_cancelled(every.tick()).await.is_some() {
        metrics.upkeep();
    }
    Ok(())
}
