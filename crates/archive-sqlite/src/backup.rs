//! A consistent copy while running.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use verbatim_core::ports::{PortError, PortResult};
use verbatim_sqlite::{Doing, Options, open};

use crate::bodies::file_name;
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
                let name = file_name(bucket);
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
    fs::create_dir_all(directory).map_err(failed)?;
    if fs::read_dir(directory).map_err(failed)?.next().is_some() {
        return Err(PortError::Conflict(format!(
            "{} is not empty: a backup goes into a new directory",
            directory.display()
        )));
    }
    Ok(())
}

/// One file as of one moment, without what was deleted in it, durable when it returns.
fn copy(from: &Path, to: &PathBuf) -> PortResult<()> {
    let doing = || format!("copy {} to {}", from.display(), to.display());
    // A connection of its own: the copy reads for long, and the pool's are for short reads.
    let connection = open(from, &Options { cache_bytes: 1 << 20, ..Options::default() })?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]).doing(doing())?;
    fs::File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(|error| PortError::transient(format_args!("could not {}", doing()), error))
}
