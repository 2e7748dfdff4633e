//! The archive on SQLite files keeps the contracts of the archive and of the control store.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tempfile::TempDir;
use verbatim_archive_sqlite::SqliteArchive;
use verbatim_core::ports::{Archive, Control, SystemClock};
use verbatim_testkit::archive::ArchiveWorld;
use verbatim_testkit::control::ControlWorld;
use verbatim_testkit::{archive_contract, control_contract};

struct Files {
    directory: TempDir,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lives: u32,
    open: Option<Arc<SqliteArchive>>,
}

impl Files {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), state: Mutex::default() }
    }

    fn make() -> Box<dyn ArchiveWorld> {
        Box::new(Self::new())
    }

    fn make_control() -> Box<dyn ControlWorld> {
        Box::new(Self::new())
    }

    fn open_here(&self) -> Arc<SqliteArchive> {
        let archive = open(&self.path());
        self.state.lock().unwrap().open = Some(Arc::clone(&archive));
        archive
    }

    async fn close_it(&self) {
        let archive = self.state.lock().unwrap().open.take();
        archive.expect("one is open").close().await;
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(format!("life-{}", self.state.lock().unwrap().lives))
    }
}

fn open(directory: &Path) -> Arc<SqliteArchive> {
    Arc::new(SqliteArchive::open(directory, Arc::new(SystemClock)).unwrap())
}

#[async_trait]
impl ArchiveWorld for Files {
    async fn open(&self) -> Arc<dyn Archive> {
        self.open_here()
    }

    async fn close(&self) {
        self.close_it().await;
    }

    /// What a killed process leaves is what its files hold at that moment.
    async fn kill(&self) {
        let before = self.path();
        let killed = self.state.lock().unwrap().open.take();
        self.state.lock().unwrap().lives += 1;
        let after = self.path();
        fs::create_dir(&after).unwrap();
        for file in fs::read_dir(before).unwrap() {
            let file = file.unwrap();
            // The shared-memory file is what the memory of the machine held; a restart makes it anew.
            if !file.file_name().to_string_lossy().ends_with("-shm") {
                fs::copy(file.path(), after.join(file.file_name())).unwrap();
            }
        }
        tokio::task::spawn_blocking(move || drop(killed)).await.unwrap();
    }

    async fn open_backup(&self, directory: &Path) -> Arc<dyn Archive> {
        open(directory)
    }
}

#[async_trait]
impl ControlWorld for Files {
    async fn open(&self) -> Arc<dyn Control> {
        self.open_here()
    }

    async fn close(&self) {
        self.close_it().await;
    }

    fn is_shared(&self) -> bool {
        false
    }
}

archive_contract!(Files::make);
control_contract!(Files::make_control);
