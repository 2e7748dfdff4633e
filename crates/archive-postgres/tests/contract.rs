//! The archive on PostgreSQL keeps the archive's contract.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use verbatim_archive_postgres::{PostgresArchive, PostgresConfig, migrate};
use verbatim_core::ports::{Archive, SystemClock};
use verbatim_testkit::archive::ArchiveWorld;
use verbatim_testkit::archive_contract;
use verbatim_testkit::postgres::PostgresServer;

struct Database {
    server: &'static PostgresServer,
    name: String,
    open: Mutex<Option<Arc<PostgresArchive>>>,
}

impl Database {
    fn make() -> Box<dyn ArchiveWorld> {
        let server = PostgresServer::shared();
        Box::new(Self { server, name: server.create_database(), open: Mutex::default() })
    }
}

#[async_trait]
impl ArchiveWorld for Database {
    async fn open(&self) -> Arc<dyn Archive> {
        let config = PostgresConfig::new(self.server.url(&self.name));
        migrate(&config).await.unwrap();
        let archive = Arc::new(PostgresArchive::connect(&config, Arc::new(SystemClock)).await.unwrap());
        *self.open.lock().unwrap() = Some(Arc::clone(&archive));
        archive
    }

    async fn close(&self) {
        let archive = self.open.lock().unwrap().take();
        archive.expect("one is open").close().await;
    }

    /// What a killed process leaves is what the server has, once it has noticed.
    async fn kill(&self) {
        self.server.end_sessions(&self.name);
        drop(self.open.lock().unwrap().take());
        self.server.end_sessions(&self.name);
    }

    async fn open_backup(&self, _directory: &Path) -> Arc<dyn Archive> {
        unreachable!("PostgreSQL's own tools back it up")
    }

    fn backup_tool(&self) -> Option<&'static str> {
        Some("pg_dump")
    }
}

archive_contract!(Database::make);
