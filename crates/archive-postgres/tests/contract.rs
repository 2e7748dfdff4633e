//! The archive on PostgreSQL keeps the contracts of the archive and of the control store.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use verbatim_archive_postgres::{PostgresArchive, PostgresConfig, migrate};
use verbatim_core::ports::{Archive, Control, SystemClock};
use verbatim_testkit::archive::ArchiveWorld;
use verbatim_testkit::control::ControlWorld;
use verbatim_testkit::postgres::PostgresServer;
use verbatim_testkit::{archive_contract, control_contract};

struct Database {
    server: &'static PostgresServer,
    name: String,
    open: Mutex<Vec<Arc<PostgresArchive>>>,
}

impl Database {
    fn new() -> Self {
        let server = PostgresServer::shared();
        Self { server, name: server.create_database(), open: Mutex::default() }
    }

    fn make() -> Box<dyn ArchiveWorld> {
        Box::new(Self::new())
    }

    fn make_control() -> Box<dyn ControlWorld> {
        Box::new(Self::new())
    }

    async fn connect(&self) -> Arc<PostgresArchive> {
        let config = PostgresConfig::new(self.server.url(&self.name));
        migrate(&config).await.unwrap();
        let archive = Arc::new(PostgresArchive::connect(&config, Arc::new(SystemClock)).await.unwrap());
        self.open.lock().unwrap().push(Arc::clone(&archive));
        archive
    }

    async fn close_all(&self) {
        let open = std::mem::take(&mut *self.open.lock().unwrap());
        assert!(!open.is_empty(), "one is open");
        for archive in open {
            archive.close().await;
        }
    }
}

#[async_trait]
impl ArchiveWorld for Database {
    async fn open(&self) -> Arc<dyn Archive> {
        self.connect().await
    }

    async fn close(&self) {
        self.close_all().await;
    }

    /// What a killed process leaves is what the server has, once it has noticed.
    async fn kill(&self) {
        self.server.end_sessions(&self.name);
        self.open.lock().unwrap().clear();
        self.server.end_sessions(&self.name);
    }

    async fn open_backup(&self, _directory: &Path) -> Arc<dyn Archive> {
        unreachable!("PostgreSQL's own tools back it up")
    }

    fn backup_tool(&self) -> Option<&'static str> {
        Some("pg_dump")
    }
}

#[async_trait]
impl ControlWorld for Database {
    async fn open(&self) -> Arc<dyn Control> {
        self.connect().await
    }

    async fn close(&self) {
        self.close_all().await;
    }

    fn is_shared(&self) -> bool {
        true
    }
}

archive_contract!(Database::make);
control_contract!(Database::make_control);
