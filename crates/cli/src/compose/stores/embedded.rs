//! Stores on SQLite files in the data directory.

use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use verbatim_archive_sqlite::SqliteArchive;
use verbatim_core::ports::{PortResult, SystemClock};
use verbatim_log_sqlite::SqliteLog;
use verbatim_search_indexer::IndexerConfig;
use verbatim_search_sqlite::SqliteSearch;

use super::{IndexStore, Store};
use crate::config::Settings;
use crate::data_dir::{DataDir, make_private};

#[async_trait]
impl Store for SqliteLog {
    async fn close(&self) -> Result<()> {
        self.shutdown().await.context("the capture log did not close in order")
    }
}

#[async_trait]
impl Store for SqliteArchive {
    async fn close(&self) -> Result<()> {
        Self::close(self).await;
        Ok(())
    }
}

#[async_trait]
impl Store for SqliteSearch {
    async fn close(&self) -> Result<()> {
        Self::close(self).await;
        Ok(())
    }
}

#[async_trait]
impl IndexStore for SqliteSearch {
    async fn needs_rebuild(&self) -> PortResult<bool> {
        Ok(Self::needs_rebuild(self).await)
    }

    fn indexing(&self) -> IndexerConfig {
        IndexerConfig::default()
    }
}

/// Opens the capture log.
pub(super) async fn log(
    directory: &DataDir,
    settings: &Settings,
    background: &Handle,
) -> Result<Arc<SqliteLog>> {
    make_private(&directory.log())?;
    let config = verbatim_log_sqlite::Config {
        max_bytes: settings.capture_log.max_bytes.0,
        housekeeping: Some(background.clone()),
        ..verbatim_log_sqlite::Config::new(directory.log())
    };
    Ok(Arc::new(SqliteLog::open(config).await.context("capture log")?))
}

/// Opens the gateway's spool.
pub(crate) async fn spool(
    directory: &DataDir,
    settings: &Settings,
    background: &Handle,
) -> Result<Arc<SqliteLog>> {
    make_private(&directory.spool())?;
    let config = spool_config(directory, settings, background);
    Ok(Arc::new(SqliteLog::open(config).await.context("spool")?))
}

/// The gateway itself keeps to the limits. What empties a full spool writes to it, too: how far it has come, and the
/// ends that a dead process left out. For that the file takes more than the gateway puts in.
fn spool_config(
    directory: &DataDir,
    settings: &Settings,
    background: &Handle,
) -> verbatim_log_sqlite::Config {
    let spool = &settings.gateway.spool;
    verbatim_log_sqlite::Config {
        name: "spool",
        max_bytes: spool.max_bytes.0.saturating_add(spool.max_bytes.0 / 2),
        keep_free_bytes: spool.min_free_bytes.0 / 2,
        housekeeping: Some(background.clone()),
        // Nobody follows it: what is read back was written long before.
        cache_bytes: 0,
        ..verbatim_log_sqlite::Config::new(directory.spool())
    }
}

/// Opens the archive; its threads have the priority of those of the calling runtime.
pub(crate) async fn archive(directory: &DataDir) -> Result<Arc<SqliteArchive>> {
    let path = directory.archive();
    make_private(&path)?;
    let open = move || SqliteArchive::open(&path, Arc::new(SystemClock));
    Ok(Arc::new(spawn_blocking(open).await?.context("archive")?))
}

/// Opens the search index; its thread has the priority of those of the calling runtime.
pub(super) async fn index(directory: &DataDir) -> Result<Arc<SqliteSearch>> {
    make_private(&directory.index())?;
    let path = directory.index().join("search.db");
    Ok(Arc::new(spawn_blocking(move || SqliteSearch::open(path)).await?.context("search index")?))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use verbatim_core::model::ExchangeId;
    use verbatim_core::ports::{CaptureLog, Message, MessageKind};

    use super::*;

    #[tokio::test]
    async fn a_spool_that_the_gateway_filled_to_its_limit_takes_what_replaying_it_writes() {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.gateway.spool.max_bytes.0 = 1 << 20;
        settings.gateway.spool.min_free_bytes.0 = 0;
        let spool = spool(&DataDir::at(directory.path()), &settings, &Handle::current()).await.unwrap();
        let message = |bytes: usize| Message {
            kind: MessageKind::Part,
            gateway: "spool".to_owned(),
            exchange: ExchangeId::mint(),
            payload: Bytes::from(vec![7; bytes]),
        };
        // The gateway counts what messages say; the file also what they take beside it.
        let filled = spool.append(vec![message(1024); 1024]).await;
        assert!(filled.iter().all(Result::is_ok), "{:?}", filled.last());
        assert_eq!(spool.health().await.unwrap().bytes, settings.gateway.spool.max_bytes.0);
        let progress = spool.append(vec![message(100); 1024]).await;
        assert!(progress.iter().all(Result::is_ok), "{:?}", progress.last());
        spool.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn a_spool_can_still_be_emptied_on_a_disk_that_it_may_no_longer_fill() {
        let settings = Settings::default();
        let config = spool_config(&DataDir::at("/nowhere"), &settings, &Handle::current());
        assert!(config.keep_free_bytes < settings.gateway.spool.min_free_bytes.0);
    }
}
