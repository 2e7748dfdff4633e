//! Stores on NATS, PostgreSQL and Meilisearch.
//!
//! An engine that can't be reached yet is waited for, one that will never let us in is an error: it names the engine, where
//! it is, what was expected and what to do.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use verbatim_archive_postgres::{PostgresArchive, PostgresConfig};
use verbatim_core::ports::{PortResult, SystemClock};
use verbatim_log_nats::NatsLog;
use verbatim_search_indexer::IndexerConfig;
use verbatim_search_meilisearch::MeilisearchIndex;

use super::{IndexStore, Store};
use crate::waits::Waits;

#[async_trait]
impl Store for NatsLog {
    async fn close(&self) -> Result<()> {
        self.shutdown().await;
        Ok(())
    }
}

#[async_trait]
impl Store for PostgresArchive {
    async fn close(&self) -> Result<()> {
        Self::close(self).await;
        Ok(())
    }
}

#[async_trait]
impl Store for MeilisearchIndex {
    /// It keeps nothing open but connections.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl IndexStore for MeilisearchIndex {
    async fn needs_rebuild(&self) -> PortResult<bool> {
        Self::needs_rebuild(self).await
    }

    fn indexing(&self) -> IndexerConfig {
        IndexerConfig::for_server()
    }
}

/// Connects to the capture log.
pub(crate) async fn connect_log(config: verbatim_log_nats::Config, waits: &Waits) -> Result<Arc<NatsLog>> {
    let config = verbatim_log_nats::Config { connect_within: Duration::ZERO, ..config };
    // Large, and seldom: its future does not make its callers' large.
    let connect = || async { PortResult::Ok(Arc::new(Box::pin(NatsLog::connect(config.clone())).await?)) };
    Ok(waits.until("NATS", connect).await?)
}

/// Connects to the archive.
pub(crate) async fn connect_archive(config: PostgresConfig, waits: &Waits) -> Result<Arc<PostgresArchive>> {
    let config = PostgresConfig { patience: Duration::ZERO, ..config };
    let connect =
        || async { Ok(Arc::new(Box::pin(PostgresArchive::connect(&config, Arc::new(SystemClock))).await?)) };
    Ok(waits.until("PostgreSQL", connect).await?)
}

/// The same once, to look at it and change nothing.
pub(crate) async fn look_at_archive(config: PostgresConfig) -> PortResult<Arc<PostgresArchive>> {
    let config = PostgresConfig { patience: Duration::ZERO, ..config };
    Ok(Arc::new(Box::pin(PostgresArchive::connect_to_look(&config, Arc::new(SystemClock))).await?))
}

/// The search index, which connects when it is asked for something.
pub(crate) fn index(config: verbatim_search_meilisearch::Config) -> Result<Arc<MeilisearchIndex>> {
    Ok(Arc::new(MeilisearchIndex::new(config)?))
}
