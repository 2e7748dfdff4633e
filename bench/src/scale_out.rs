//! The roles as processes of their own, on a NATS and a PostgreSQL that are theirs alone.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use verbatim_archive_postgres::{PostgresArchive, PostgresConfig};
use verbatim_core::ports::SystemClock;
use verbatim_testkit::NatsServer;
use verbatim_testkit::postgres::{PostgresOptions, PostgresServer};

use crate::targets::{Process, free_address, wait_for};

/// What gateways and web agree on.
const SECRET: &str = "a secret of the bench, and of nobody else";
/// Nothing that is measured takes longer.
const PATIENCE: Duration = Duration::from_secs(900);

/// The engines, and what the roles are told of them.
pub(crate) struct Engines {
    _nats: NatsServer,
    postgres: PostgresServer,
    database: String,
    directory: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Engines {
    /// Starts engines that keep what they confirm, with the archive's tables, for roles that call `upstream`.
    pub(crate) async fn start(binaries: &Path, upstream: SocketAddr) -> Result<Self> {
        let nats = NatsServer::start("").await;
        let postgres =
            PostgresServer::start(&PostgresOptions { durable: true, ..PostgresOptions::default() });
        let database = postgres.create_database();
        let environment = vec![
            ("VERBATIM_NATS__URL", nats.url()),
            ("VERBATIM_POSTGRES__URL", postgres.url(&database)),
            ("VERBATIM_SECRET", SECRET.to_owned()),
            ("VERBATIM_UPSTREAM", format!("http://{upstream}/v1")),
            ("VERBATIM_LOG__LEVEL", "warn".to_owned()),
        ];
        let directory = tempfile::tempdir()?;
        let engines = Self { _nats: nats, postgres, database, directory, environment };
        engines.run(binaries, "migrate")?;
        Ok(engines)
    }

    /// Gives the roles that start from now on a setting.
    pub(crate) fn set(&mut self, variable: &'static str, value: &str) {
        self.environment.push((variable, value.to_owned()));
    }

    /// Opens the archive.
    pub(crate) async fn archive(&self) -> Result<PostgresArchive> {
        let config = PostgresConfig::new(self.postgres.url(&self.database));
        Ok(PostgresArchive::connect(&config, Arc::new(SystemClock)).await?)
    }

    /// Runs a subcommand to its end.
    pub(crate) fn run(&self, binaries: &Path, subcommand: &str) -> Result<()> {
        let ended = self.command(binaries, subcommand, subcommand).stdout(Stdio::null()).status()?;
        ensure!(ended.success(), "verbatim {subcommand} ended with {ended}");
        Ok(())
    }

    /// Waits until every exchange in the outbox was indexed.
    pub(crate) async fn wait_indexed(&self) -> Result<()> {
        let began = Instant::now();
        while self.postgres.sql(&self.database, "SELECT EXISTS (SELECT FROM outbox)") != "f" {
            ensure!(began.elapsed() < PATIENCE, "the outbox is not emptied");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let failed = self.postgres.sql(&self.database, "SELECT count(*) FROM outbox_failed");
        ensure!(failed == "0", "{failed} exchanges could not be indexed");
        Ok(())
    }

    fn command(&self, binaries: &Path, role: &str, data: &str) -> Command {
        let mut command = Command::new(binaries.join("verbatim"));
        command.arg(role).arg("--data-dir").arg(self.directory.path().join(data));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.directory.path());
        command
    }

    /// Starts a role, and waits until it listens.
    pub(crate) async fn role(&self, binaries: &Path, role: &'static str) -> Result<(Process, SocketAddr)> {
        let address = free_address()?;
        let mut command = self.command(binaries, role, role);
        let variable = format!("VERBATIM_{}__LISTEN", role.to_ascii_uppercase());
        command.env(variable, address.to_string()).stdout(Stdio::null());
        let process = Process::spawn(role, &mut command)?;
        wait_for(address, role).await?;
        Ok((process, address))
    }

    /// The database that the archive is in.
    pub(crate) fn database_url(&self) -> String {
        self.postgres.url(&self.database)
    }

    /// Runs SQL in it; gives its rows.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.postgres.sql(&self.database, sql)
    }

    /// Exchanges in the archive.
    pub(crate) fn archived(&self) -> Result<u64> {
        let count = self.sql("SELECT count(*) FROM exchange");
        count.parse().context("a number of exchanges")
    }

    /// Waits until so many exchanges are archived, and no more.
    pub(crate) async fn wait_archived(&self, calls: u64) -> Result<()> {
        let began = Instant::now();
        loop {
            let archived = self.archived()?;
            ensure!(archived <= calls, "{archived} exchanges are archived, {calls} calls were answered");
            if archived == calls {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "{archived} of {calls} exchanges are archived");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until so many archived exchanges have this of their columns: one that lasts may be archived as running first.
    pub(crate) async fn wait_archived_where(&self, condition: &str, calls: u64) -> Result<()> {
        let began = Instant::now();
        while self.archived_where(condition)? < calls {
            ensure!(began.elapsed() < PATIENCE, "fewer than {calls} exchanges are archived with {condition}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// How many archived exchanges have this of their columns.
    pub(crate) fn archived_where(&self, condition: &str) -> Result<u64> {
        let count = self.sql(&format!("SELECT count(*) FROM exchange WHERE {condition}"));
        count.parse().context("a number of exchanges")
    }
}
