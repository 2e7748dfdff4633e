//! The directory where everything is kept, and the one process that works on it.

mod instance;
mod lock;
mod secret;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

pub(crate) use instance::Instance;
use lock::Lock;

/// Why a data directory can't be used. Each is one clear line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataDirError {
    /// Another process works on it.
    #[error(
        "data directory {} is in use by another process{holder}: use that one, end it, or give this one a directory \
         of its own with --data-dir", path.display()
    )]
    InUse { path: PathBuf, holder: String },
    /// It can't be made or written.
    #[error(
        "data directory {} can't be written: {error}; give it to the user that runs Verbatim, or choose another with \
         --data-dir", path.display()
    )]
    Unwritable { path: PathBuf, error: io::Error },
    /// The hashing secret is not what was written.
    #[error(
        "{} is damaged: expected 32 bytes, found {found}; restore it, or delete it (hashes of credentials in older \
         records will then differ from those in new ones)", path.display()
    )]
    Secret { path: PathBuf, found: usize },
}

/// Where everything is kept.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// At this path, which need not exist yet.
    pub(crate) fn at(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        Self { root: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()) }
    }

    /// Its absolute path.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The capture log's files.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// The gateway's spool.
    pub(crate) fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }

    /// The archive's files.
    pub(crate) fn archive(&self) -> PathBuf {
        self.root.join("archive")
    }

    /// The search index's files.
    pub(crate) fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// The log of a relay that `verbatim run` starts.
    pub(crate) fn run_log(&self) -> PathBuf {
        self.root.join("run.log")
    }

    /// Makes it if need be, and takes it for this process until the result is dropped.
    ///
    /// # Errors
    /// [`DataDirError::InUse`] where another process has it, [`DataDirError::Unwritable`] where it can't be made or
    /// written.
    pub(crate) fn take(self) -> Result<Held, DataDirError> {
        let unwritable = |error| DataDirError::Unwritable { path: self.root.clone(), error };
        // Records hold what people say to their models: nobody else's business.
        let is_new = !self.root.exists();
        DirBuilder::new().recursive(true).mode(0o700).create(&self.root).map_err(unwritable)?;
        if is_new {
            // It may stand in a repository, whose next commit is to hold none of it.
            fs::write(self.root.join(".gitignore"), "*\n").map_err(unwritable)?;
        }
        self.take_existing()
    }

    /// Takes one that is there already.
    pub(crate) fn take_existing(self) -> Result<Held, DataDirError> {
        let lock = Lock::take(&self.root)?;
        // Of a process that did not end by itself.
        let _ = fs::remove_file(Instance::file(&self.root));
        Ok(Held { directory: self, is_temporary: false, _lock: lock })
    }

    /// The process that works on it, as it described itself; `None` where there is none.
    pub(crate) fn instance(&self) -> Option<Instance> {
        Instance::read(&self.root)
    }
}

/// A data directory that this process has to itself.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) directory: DataDir,
    /// Whether it goes with the process.
    pub(crate) is_temporary: bool,
    _lock: Lock,
}

impl Held {
    /// The secret that keys the hashes of credentials in records; made at first use, the same ever after.
    pub(crate) fn secret(&self) -> Result<[u8; 32], DataDirError> {
        secret::read_or_make(self.directory.root())
    }

    /// For a process that ends without taking things down: deletes a temporary directory as far as that is possible.
    pub(crate) fn delete_if_temporary(&self) {
        // What still runs may add a file meanwhile.
        let mut tries = if self.is_temporary { 0..10 } else { 0..0 };
        tries.any(|_| fs::remove_dir_all(self.directory.root()).is_ok());
    }

    /// Tells other processes how to reach this one.
    pub(crate) fn announce(&self, instance: &Instance) -> Result<(), DataDirError> {
        let path = self.directory.root().to_owned();
        instance.write(&path).map_err(|error| DataDirError::Unwritable { path, error })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = fs::remove_file(Instance::file(self.directory.root()));
    }
}

/// Makes a directory for its owner alone, if it is not there: where the one around it was made by somebody else, others
/// may be able to enter that.
pub(crate) fn make_private(path: &Path) -> Result<(), DataDirError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| DataDirError::Unwritable { path: path.to_owned(), error })
}

/// An empty file, for its owner alone; one that was there is emptied.
pub(crate) fn create_private(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // One that was there keeps the mode that it was made with.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Writes a file whole or not at all, for its owner alone.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let beside = path.with_extension("new");
    let mut file = create_private(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn it_is_made_for_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let held = DataDir::at(parent.path().join("a/b")).take().unwrap();
        held.secret().unwrap();
        assert_eq!(mode(held.directory.root()), 0o700);
        assert_eq!(mode(&held.directory.root().join("secret")), 0o600);
        let log = held.directory.run_log();
        fs::write(&log, "of an earlier version").unwrap();
        fs::set_permissions(&log, fs::Permissions::from_mode(0o644)).unwrap();
        create_private(&log).unwrap();
        assert_eq!((mode(&log), fs::read(&log).unwrap().len()), (0o600, 0));
    }

    #[test]
    fn a_repository_around_it_takes_nothing_of_it_in() {
        let parent = tempfile::tempdir().unwrap();
        drop(DataDir::at(parent.path().join("new")).take().unwrap());
        assert_eq!(fs::read_to_string(parent.path().join("new/.gitignore")).unwrap(), "*\n");
        // One that was there before is somebody's own to decide on.
        drop(DataDir::at(parent.path()).take().unwrap());
        assert!(!parent.path().join(".gitignore").exists());
    }

    #[test]
    fn what_is_recorded_is_for_its_owner_alone_in_a_directory_that_was_there_before_too() {
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let held = DataDir::at(parent.path()).take().unwrap();
        let directory = &held.directory;
        for inside in [directory.log(), directory.spool(), directory.archive(), directory.index()] {
            make_private(&inside).unwrap();
            assert_eq!(mode(&inside), 0o700, "{}", inside.display());
        }
    }

    #[test]
    fn a_second_process_is_told_who_has_it_until_the_first_leaves() {
        let parent = tempfile::tempdir().unwrap();
        let held = DataDir::at(parent.path()).take().unwrap();
        let refused = DataDir::at(parent.path()).take().unwrap_err().to_string();
        assert!(
            refused.contains(&format!("in use by another process (pid {})", std::process::id())),
            "{refused}"
        );
        drop(held);
        DataDir::at(parent.path()).take().unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        let refused = DataDir::at(file.join("data")).take().unwrap_err().to_string();
        assert!(refused.contains("file/data can't be written"), "{refused}");
    }

    #[test]
    fn the_secret_stays_the_same_and_a_damaged_one_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let held = DataDir::at(parent.path()).take().unwrap();
        let secret = held.secret().unwrap();
        assert_ne!(secret, [0; 32]);
        assert_eq!(held.secret().unwrap(), secret);
        fs::write(parent.path().join("secret"), "short").unwrap();
        assert!(held.secret().unwrap_err().to_string().contains("expected 32 bytes, found 5"));
    }

    #[test]
    fn an_instance_is_known_while_it_lives() {
        let parent = tempfile::tempdir().unwrap();
        let directory = DataDir::at(parent.path());
        let held = directory.clone().take().unwrap();
        assert_eq!(directory.instance(), None);
        let instance =
            Instance { gateway: "http://127.0.0.1:1".into(), web: None, ..Instance::of_this_process() };
        held.announce(&instance).unwrap();
        assert_eq!(directory.instance(), Some(instance));
        drop(held);
        assert_eq!(directory.instance(), None);
    }
}
