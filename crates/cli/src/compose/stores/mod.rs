//! The stores behind the ports: here, and only here, it is decided which engine they are.

mod embedded;
mod engines;
mod late_log;

use std::sync::Arc;

use anyhow::{Result, bail};
use async_trait::async_trait;
use tokio::runtime::Handle;
use verbatim_core::ports::{Archive, CaptureLog, Control, Live, PortResult, SearchIndex};
use verbatim_search_indexer::IndexerConfig;

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::waits::Waits;

pub(crate) use embedded::{archive as embedded_archive, spool};
pub(crate) use engines::{connect_archive, connect_log, index as index_on_engine, look_at_archive};
pub(crate) use late_log::LateLog;

/// What the composition root asks of a store beside its port.
#[async_trait]
pub(crate) trait Store: Send + Sync {
    /// Closes it in order, once nothing runs on it any more.
    async fn close(&self) -> Result<()>;
}

/// A capture log, whichever engine keeps it.
pub(crate) trait LogStore: CaptureLog + Live + Store {}
impl<T: CaptureLog + Live + Store> LogStore for T {}

/// An archive with the control store beside it, whichever engine keeps them.
pub(crate) trait ArchiveStore: Archive + Control + Store {}
impl<T: Archive + Control + Store> ArchiveStore for T {}

/// A search index, whichever engine keeps it.
#[async_trait]
pub(crate) trait IndexStore: SearchIndex + Store {
    /// Whether records may be missing from it until it is made anew from the archive: it is new, or was damaged.
    async fn needs_rebuild(&self) -> PortResult<bool>;

    /// How it likes to be given documents.
    fn indexing(&self) -> IndexerConfig;
}

/// Archive and index of one installation.
pub(crate) struct Records {
    pub(crate) archive: Arc<dyn ArchiveStore>,
    /// `None`: there is no word search.
    pub(crate) index: Option<Arc<dyn IndexStore>>,
}

/// Opens the archive where the configuration says that it is. One that can't be reached yet is waited for; what may block
/// is done on the calling runtime's blocking threads.
pub(crate) async fn archive(
    config: &Config,
    directory: &DataDir,
    waits: &Waits,
) -> Result<Arc<dyn ArchiveStore>> {
    match config.postgres()? {
        Some(postgres) => Ok(connect_archive(postgres, waits).await?),
        None => Ok(embedded::archive(directory).await?),
    }
}

/// Opens the search index where the configuration says that it is; one beside the archive on PostgreSQL has to be named.
pub(crate) async fn index(config: &Config, directory: &DataDir) -> Result<Option<Arc<dyn IndexStore>>> {
    match config.meilisearch()? {
        Some(meilisearch) => Ok(Some(index_on_engine(meilisearch)?)),
        None if config.settings.postgres.url.is_some() => Ok(None),
        None => Ok(Some(embedded::index(directory).await?)),
    }
}

impl Records {
    /// Opens both, side by side: each waits for the disk, or for another machine.
    pub(crate) async fn open(config: &Config, directory: &DataDir, waits: &Waits) -> Result<Self> {
        match tokio::join!(archive(config, directory, waits), index(config, directory)) {
            (Ok(archive), Ok(index)) => Ok(Self { archive, index }),
            (Ok(archive), Err(error)) => {
                archive.close().await?;
                Err(error)
            }
            (Err(error), Ok(Some(index))) => {
                index.close().await?;
                Err(error)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Closes both.
    pub(crate) async fn close(self) -> Result<()> {
        if let Some(index) = &self.index {
            index.close().await?;
        }
        self.archive.close().await
    }
}

/// Opens the capture log in the data directory.
pub(crate) async fn embedded_log(
    directory: &DataDir,
    config: &Config,
    background: &Handle,
) -> Result<Arc<dyn LogStore>> {
    Ok(embedded::log(directory, &config.settings, background).await?)
}

/// Refuses to leave behind what a capture log in the data directory still holds while another one takes its place. A
/// recorder that ends in order leaves nothing there but what is not archived for good: ends, and exchanges that an earlier
/// process was killed in and that are still to be settled.
pub(crate) async fn refuse_abandoned_log(directory: &DataDir, config: &Config) -> Result<()> {
    if !directory.log().exists() {
        return Ok(());
    }
    let log = embedded::log(directory, &config.settings, &Handle::current()).await?;
    let held = log.health().await?.messages;
    log.close().await?;
    if held > 0 {
        bail!(
            "{} holds {held} messages of calls that are not archived yet, and would stay there with the capture log on \
             NATS: run `verbatim up` once more without [nats], for a minute, so that it archives them and settles calls \
             that an earlier process was killed in, then end it in order (Ctrl-C or SIGTERM)",
            directory.log().display()
        );
    }
    Ok(())
}
