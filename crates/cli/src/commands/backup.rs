//! `backup`: a consistent copy of the archive, also while it is being written.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use verbatim_core::ports::Archive;

use super::Setting;
use crate::compose::stores;
use crate::data_dir::{DataDir, DataDirError, write_whole};
use crate::waits::Waits;
use crate::{shell, terminal};

pub(super) fn run(setting: &Setting, into: &Path) -> Result<ExitCode> {
    let directory = setting.data_dir();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Some(postgres) = setting.config.postgres()? {
        // It names the tools that PostgreSQL has for that.
        let copied = runtime.block_on(async {
            let archive = stores::look_at_archive(postgres).await?;
            let copied = archive.backup(into).await;
            archive.close().await;
            copied
        });
        return Ok(copied.map(|()| ExitCode::SUCCESS)?);
    }
    if !directory.archive().exists() {
        bail!(
            "{} has no archive to copy; name another data directory with --data-dir",
            directory.root().display()
        );
    }
    // A running instance keeps its data directory; SQLite lets a second process read beside it.
    let held = match directory.clone().take_existing() {
        Ok(held) => Some(held),
        Err(DataDirError::InUse { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    refuse_other_version(&directory)?;
    make_empty(into)?;
    let records = runtime.block_on(async {
        let archive = stores::archive(&setting.config, &directory, &Waits::default()).await?;
        archive.backup(&into.join("archive")).await?;
        let records = archive.health().await?.exchanges;
        archive.close().await?;
        anyhow::Ok(records)
    })?;
    // Without it, hashes of credentials in older records would match none in new ones.
    let secret = directory.root().join("secret");
    if secret.exists() {
        write_whole(&into.join("secret"), &fs::read(secret)?)?;
    }
    drop(held);
    terminal::out(format_args!("{records} exchanges copied to {}", into.display()));
    terminal::out(format_args!(
        "to use the copy: `verbatim --data-dir {}`, which builds its search index first",
        shell::word(into)
    ));
    Ok(ExitCode::SUCCESS)
}

/// Opening an archive brings its schema up to date, which a running instance of an older version would not survive.
fn refuse_other_version(directory: &DataDir) -> Result<()> {
    let ours = env!("CARGO_PKG_VERSION");
    match directory.instance() {
        Some(instance) if instance.version != ours => bail!(
            "the instance that runs on {} is version {}, this is {ours}: use the same version, or end it first",
            directory.root().display(),
            instance.version
        ),
        _ => Ok(()),
    }
}

fn make_empty(into: &Path) -> Result<()> {
    let doing = || format!("{} can't be written", into.display());
    DirBuilder::new().recursive(true).mode(0o700).create(into).with_context(doing)?;
    if fs::read_dir(into).with_context(doing)?.next().is_some() {
        bail!("{} is not empty: a backup goes into a new directory", into.display());
    }
    match fs::set_permissions(into, Permissions::from_mode(0o700)) {
        // One that is somebody else's stays as it is: what goes into it is closed to others by itself.
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error).with_context(doing),
        _ => Ok(()),
    }
}
