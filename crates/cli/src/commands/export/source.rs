//! What an export is made from: the stores themselves, or the instance that has them.

use std::sync::Arc;

use anyhow::{Result, bail};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use verbatim_archive_sqlite::SqliteArchive;
use verbatim_core::ports::{SearchIndex, SystemClock};
use verbatim_search_sqlite::SqliteSearch;
use verbatim_web::{Export, ExportError, Stores};

use super::Asked;
use super::running::Download;
use crate::commands::Setting;
use crate::compose::stores;
use crate::data_dir::{DataDirError, Held};

pub(super) enum Source {
    /// This process reads the stores.
    Own(Box<Own>),
    /// The instance that runs on the data directory does.
    Running(Download),
}

pub(super) struct Own {
    export: Export,
    archive: Arc<SqliteArchive>,
    index: Arc<SqliteSearch>,
    // Last: nobody else gets in before the stores are closed.
    _held: Held,
}

impl Source {
    /// Asks for the first exchanges.
    pub(super) async fn open(setting: &Setting, asked: &Asked<'_>, stop: &CancellationToken) -> Result<Self> {
        let directory = setting.data_dir();
        if !directory.archive().exists() {
            let root = directory.root().display();
            bail!("{root} has no archive to export; name another data directory with --data-dir");
        }
        match directory.clone().take_existing() {
            Ok(held) => Ok(Self::Own(Box::new(Own::open(held, asked, stop).await?))),
            Err(DataDirError::InUse { .. }) => {
                Ok(Self::Running(Download::begin(setting, &directory, asked).await?))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        match self {
            Self::Own(own) => Ok(own.export.next().await?),
            Self::Running(download) => download.next().await,
        }
    }

    /// How many exchanges were written so far, where that is known.
    pub(super) fn exchanges(&self) -> Option<u64> {
        match self {
            Self::Own(own) => Some(own.export.exchanges()),
            Self::Running(_) => None,
        }
    }

    /// What whoever asked should know of the answer.
    pub(super) fn notice(&self) -> Option<&str> {
        match self {
            Self::Own(own) => own.export.notice(),
            Self::Running(download) => download.notice(),
        }
    }

    pub(super) async fn close(self) {
        if let Self::Own(own) = self {
            own.index.close().await;
            own.archive.close().await;
        }
    }
}

impl Own {
    async fn open(held: Held, asked: &Asked<'_>, stop: &CancellationToken) -> Result<Self> {
        let archive = stores::archive(&held.directory)?;
        let index = stores::index(&held.directory)?;
        // One that was never filled would find nothing, and say nothing.
        let usable = (!index.needs_rebuild().await).then(|| index.clone() as Arc<dyn SearchIndex>);
        let is_unusable = usable.is_none();
        let stores = Arc::new(Stores::new(archive.clone(), usable, Arc::new(SystemClock)));
        match Export::begin(stores, asked.query, asked.format, stop.clone()).await {
            Ok(export) => Ok(Self { export, archive, index, _held: held }),
            Err(error) => {
                index.close().await;
                archive.close().await;
                if is_unusable && matches!(error, ExportError::Store(_)) {
                    bail!("{error}; `verbatim reindex` makes the search index from the archive");
                }
                Err(error.into())
            }
        }
    }
}
