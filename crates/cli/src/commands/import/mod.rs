//! `import`: the archive of a data directory, moved into PostgreSQL.

mod copy;
mod salvage;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use verbatim_archive_postgres::PostgresArchive;
use verbatim_core::ports::{Archive, CaptureLog};

use super::{Setting, runtimes};
use crate::compose::stores::{self, Store};
use crate::data_dir::DataDir;
use crate::signals::{Ending, Signals};
use crate::terminal;
use crate::waits::Waits;
use copy::{Copied, copy};

pub(super) fn run(setting: &Setting, from: &Path) -> Result<ExitCode> {
    let postgres = setting.config.required_postgres()?;
    let directory = DataDir::at(from);
    let root = directory.root().display();
    if !directory.archive().exists() {
        bail!("{root} has no archive to import: --from-data-dir names a data directory, or a copy of one");
    }
    let ours = setting.config.secret()?;
    let (logs, _metrics) = setting.telemetry()?;
    let held = directory.clone().take_existing().with_context(|| {
        format!(
            "an import reads a data directory that nobody writes. End the instance first; or let `verbatim backup` copy \
             {root}, import the copy, then end the instance and import {root}: what is there already is not copied again"
        )
    })?;
    let runtimes = runtimes()?;
    let done = runtimes.run(async |_| {
        let mut signals = Signals::listen()?;
        let waits = Waits::default();
        let archive = tokio::select! {
            connected = stores::connect_archive(postgres.clone(), &waits) => connected?,
            ending = signals.next() => bail!("{ending}: stopped before it had begun"),
        };
        let importing = import(setting, &held.directory, &archive, &mut signals).await;
        archive.close().await;
        importing
    });
    runtimes.stop();
    drop(logs);
    let (imported, ending) = done?;
    imported.tell(&root.to_string(), &postgres.address());
    tell_of_secret(&directory, ours);
    Ok(match ending {
        Some(ending) => {
            terminal::tell("stopped before everything was there: run it again, and it goes on where it was");
            ExitCode::from(ending.exit_code())
        }
        None if imported.copied.lost > 0 => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    })
}

/// What names a caller in records is a hash of its credential, and the hash depends on a secret.
fn tell_of_secret(directory: &DataDir, ours: Option<[u8; 32]>) {
    let path = directory.root().join("secret");
    let theirs = fs::read(&path).ok();
    if theirs.is_some() && theirs.as_deref() != ours.as_ref().map(|secret| &secret[..]) {
        terminal::out(format_args!(
            "callers without a key of ours go by the same hash in new records only if secret_file names {} or a copy of it \
             wherever a gateway or web runs",
            path.display()
        ));
    }
}

/// What there is to say at the end.
struct Imported {
    copied: Copied,
    /// Exchanges in the data directory that no archive has yet.
    unarchived: u64,
}

async fn import(
    setting: &Setting,
    directory: &DataDir,
    to: &PostgresArchive,
    signals: &mut Signals,
) -> Result<(Imported, Option<Ending>)> {
    let unarchived = unarchived(setting, directory).await?;
    let from = stores::embedded_archive(directory).await?;
    let bar = bar(from.health().await?.exchanges)?;
    let stop = CancellationToken::new();
    let copying = copy(from.as_ref(), to, &stop, |copied| {
        bar.set_length(bar.length().unwrap_or_default().max(copied.seen));
        bar.set_position(copied.seen);
        bar.set_message(HumanBytes(copied.bytes).to_string());
    });
    tokio::pin!(copying);
    let (copied, ending) = tokio::select! {
        copied = &mut copying => (copied, None),
        ending = signals.next() => {
            // What was read already is written first.
            stop.cancel();
            (copying.await, Some(ending))
        }
    };
    bar.finish_and_clear();
    from.close().await;
    let copied = copied.context("the import broke off; run it again, and it goes on where it was")?;
    // Sums are right at once, not when somebody next sees to them.
    to.maintain().await?;
    Ok((Imported { copied, unarchived }, ending))
}

/// Exchanges that still wait in capture log and spool. A copy of a data directory has neither.
async fn unarchived(setting: &Setting, directory: &DataDir) -> Result<u64> {
    let background = Handle::current();
    let mut waiting = 0;
    if directory.log().exists() {
        let log = stores::embedded_log(directory, &setting.config, &background).await?;
        waiting += log.health().await?.ends_pending;
        log.close().await?;
    }
    if directory.spool().exists() {
        let spool = stores::spool(directory, &setting.config.settings, &background).await?;
        waiting += CaptureLog::health(&*spool).await?.ends_pending;
        spool.close().await?;
    }
    Ok(waiting)
}

/// Shown on a terminal only.
fn bar(exchanges: u64) -> Result<ProgressBar> {
    let style = "{bar:40} {human_pos} of {human_len} exchanges, {msg} carried over, {per_sec}, {eta} left";
    Ok(ProgressBar::new(exchanges).with_style(ProgressStyle::with_template(style)?))
}

impl Imported {
    fn tell(&self, root: &str, address: &str) {
        let Copied { seen, stored, bytes, already, damaged, lost, running } = self.copied;
        let count = HumanCount;
        terminal::out(format_args!(
            "{} exchanges of {root}: {} carried over to PostgreSQL at {address} with {} of bodies, {} were there already",
            count(seen),
            count(stored),
            HumanBytes(bytes),
            count(already),
        ));
        let also = |number: u64, what: &str| {
            if number > 0 {
                terminal::out(format_args!("{} {what}", count(number)));
            }
        };
        also(
            damaged,
            "are damaged: they are carried over as they are, without what can't be read; notes in them and the log say \
             what that is",
        );
        also(lost, "could not be carried over at all: the log says which, and why");
        also(
            running,
            "were under way when their process ended: `verbatim up` on the data directory settles them; import again \
             after it",
        );
        also(
            self.unarchived,
            "wait in the data directory's capture log and are in no archive yet: run `verbatim up` on it until they are \
             archived, end it, and import again",
        );
    }
}
