//! A consistent copy while running.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use verbatim_core::ports::{PortError, PortResult};
use verbatim_sqlite::{Doing, Options, open};

use crate::records::FILE;
use crate::{Engine, sync_directory};

impl Engine {
    /// Copies records first, then blocks: blocks are only ever added, so every one that a copied record refers to is
    /// in the copy. The file of records gets its name last: a directory without it is no archive, and a copy that
    /// was broken off is not taken for one.
    pub(crate) async fn backup(self: &Arc<Self>, directory: &Path) -> PortResult<()> {
        let _alone = self.maintenance.lock().await;
        let directory = directory.to_owned();
        self.blocking(move |engine| {
            make_empty(&directory)?;
            let unfinished = directory.join(format!("{FILE}.unfinished"));
            copy(&engine.records.path, &unfinished)?;
            for bucket in engine.buckets.all() {
                let name = bucket.file_name();
                copy(&engine.directory.join(&name), &directory.join(&name))?;
            }
            sync_directory(&directory)?;
            fs::rename(&unfinished, directory.join(FILE))
                .map_err(|error| PortError::transient("could not finish the backup", error))?;
            sync_directory(&directory)
        })
        .await
    }
}

fn make_empty(directory: &Path) -> PortResult<()> {
    let failed =
        |error| PortError::permanent(format_args!("could not back up to {}", directory.display()), error);
    // Records hold what people say to their models: nobody else's business, wherever the copy lies.
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    if fs::read_dir(directory).map_err(failed)?.next().is_some() {
        return Err(PortError::Conflict(format!(
            "{} is not empty: a backup goes into a new directory",
            directory.display()
        )));
    }
    fs::set_permissions(directory, Permissions::from_mode(0o700)).map_err(failed)
}

/// One file as of one moment, without what was deleted in it, durable when it returns, and for its owner alone.
fn copy(from: &Path, to: &PathBuf) -> PortResult<()> {
    let doing = || format!("copy {} to {}", from.display(), to.display());
    // SQLite takes a file that is empty; one that it made could be read by others.
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    made.map_err(|error| PortError::transient(format_args!("could not {}", doing()), error))?;
    // A connection of its own: the copy reads for long, and the pool's are for short reads.
    let connection = open(from, &Options { cache_bytes: 1 << 20, ..Options::default() })?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]).doing(doing())?;
    fs::File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(|error| PortError::transient(format_args!("could not {}", doing()), error))
}
