//! What an export is made from: the stores themselves, or the instance that has them.

use std::sync::Arc;

use anyhow::{Result, bail};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::{SearchIndex, SystemClock};
use verbatim_web::{Export, ExportError, Stores};

use super::Asked;
use super::running::Download;
use crate::commands::Setting;
use crate::compose::stores::Records;
use crate::data_dir::{DataDirError, Held};
use crate::waits::Waits;

pub(super) enum Source {
    /// This process reads the stores.
    Own(Box<Own>),
    /// The instance that runs on the data directory does.
    Running(Download),
}

pub(super) struct Own {
    export: Export,
    records: Records,
    /// Where the stores are files. Last: nobody else gets in before they are closed.
    _held: Option<Held>,
}

impl Source {
    /// Asks for the first exchanges. On engines, whoever else works there goes on meanwhile.
    pub(super) async fn open(setting: &Setting, asked: &Asked<'_>, stop: &CancellationToken) -> Result<Self> {
        if setting.config.settings.postgres.url.is_some() {
            return Ok(Self::Own(Box::new(Own::open(setting, None, asked, stop).await?)));
        }
        let directory = setting.data_dir();
        if !directory.archive().exists() {
            let root = directory.root().display();
            bail!("{root} has no archive to export; name another data directory with --data-dir");
        }
        match directory.clone().take_existing() {
            Ok(held) => Ok(Self::Own(Box::new(Own::open(setting, Some(held), asked, stop).await?))),
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

    pub(super) async fn close(self) -> Result<()> {
        match self {
            Self::Own(own) => own.records.close().await,
            Self::Running(_) => Ok(()),
        }
    }
}

impl Own {
    async fn open(
        setting: &Setting,
        held: Option<Held>,
        asked: &Asked<'_>,
        stop: &CancellationToken,
    ) -> Result<Self> {
        let records = Records::open(&setting.config, &setting.data_dir(), &Waits::default()).await?;
        match begin(&records, asked, stop).await {
            Ok(export) => Ok(Self { export, records, _held: held }),
            Err(error) => {
                records.close().await?;
                Err(error)
            }
        }
    }
}

async fn begin(records: &Records, asked: &Asked<'_>, stop: &CancellationToken) -> Result<Export> {
    let (mut usable, mut remedy) = (None, "");
    if let Some(index) = &records.index {
        // One that was never filled would find nothing, and say nothing.
        match index.needs_rebuild().await {
            Ok(true) => remedy = "; `verbatim reindex` makes the search index from the archive",
            // One that can't be asked is told by the search itself, if there is any.
            Ok(false) | Err(_) => usable = Some(index.clone() as Arc<dyn SearchIndex>),
        }
    }
    let stores = Arc::new(Stores::new(records.archive.clone(), usable, Arc::new(SystemClock)));
    let begun = Export::begin(stores, asked.query, asked.format, stop.clone()).await;
    begun.or_else(|error| match error {
        ExportError::Store(error) => bail!("{error}{remedy}"),
        error => Err(error.into()),
    })
}
