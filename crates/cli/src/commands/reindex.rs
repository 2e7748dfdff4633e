//! `reindex`: the search index, built anew from the archive.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::{PortError, Unpaced};
use verbatim_search_indexer::{IndexerError, Ports, rebuild};

use super::{Setting, runtimes};
use crate::compose::stores::Records;
use crate::data_dir::Held;
use crate::signals::Signals;
use crate::terminal;
use crate::waits::Waits;

pub(super) fn run(setting: &Setting) -> Result<ExitCode> {
    let (logs, _metrics) = setting.telemetry()?;
    // On engines, whoever else works there goes on meanwhile.
    let _held = match setting.config.settings.postgres.url {
        Some(_) => None,
        None => Some(take(setting)?),
    };
    let runtimes = runtimes()?;
    let began = Instant::now();
    let indexed = runtimes.run(async |_| {
        let mut signals = Signals::listen()?;
        let (directory, waits) = (setting.data_dir(), Waits::default());
        let opening = Records::open(&setting.config, &directory, &waits);
        let records = tokio::select! {
            opened = opening => opened?,
            ending = signals.next() => bail!("{ending}: stopped before it had begun"),
        };
        let indexed = index(&records, &mut signals).await;
        records.close().await?;
        indexed
    });
    runtimes.stop();
    drop(logs);
    terminal::out(format_args!("{} exchanges indexed in {:.1} s", indexed?, began.elapsed().as_secs_f64()));
    Ok(ExitCode::SUCCESS)
}

/// The data directory, which nobody else may work on meanwhile.
fn take(setting: &Setting) -> Result<Held> {
    let directory = setting.data_dir();
    if !directory.archive().exists() {
        bail!(
            "{} has no archive to index; name another data directory with --data-dir",
            directory.root().display()
        );
    }
    directory.take_existing().context("an instance indexes by itself; to index anew, end it first")
}

/// Gives how many exchanges were indexed.
async fn index(records: &Records, signals: &mut Signals) -> Result<u64> {
    let Some(index) = records.index.clone() else {
        bail!("there is no search index to build: set [meilisearch] url (VERBATIM_MEILISEARCH__URL)");
    };
    let config = index.indexing();
    let ports = Ports {
        pace: Arc::new(Unpaced),
        archive: records.archive.clone(),
        index,
        committed: Arc::default(),
        outbox_lock: verbatim_search_indexer::OutboxLock::default(),
    };
    let bar = bar()?;
    let token = CancellationToken::new();
    let rebuilding = rebuild(&config, &ports, &token, |progress| {
        bar.set_length(progress.total.max(progress.done));
        bar.set_position(progress.done);
    });
    tokio::pin!(rebuilding);
    let rebuilt = tokio::select! {
        rebuilt = &mut rebuilding => rebuilt,
        _ = signals.next() => {
            // It ends where it can, and leaves the old index in its place.
            token.cancel();
            rebuilding.await
        }
    };
    bar.finish_and_clear();
    match rebuilt {
        Ok(progress) => Ok(progress.done),
        Err(IndexerError::Port(PortError::Conflict(why))) => bail!("{why}"),
        Err(IndexerError::Stopped) => bail!("stopped before it was done; the index is as it was"),
        Err(error) => Err(error.into()),
    }
}

/// Shown on a terminal only.
fn bar() -> Result<ProgressBar> {
    let style =
        ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} exchanges, {per_sec}, {eta} left")?;
    Ok(ProgressBar::new(0).with_style(style))
}
