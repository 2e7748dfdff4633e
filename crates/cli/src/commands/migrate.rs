//! `migrate`: the schema of the archive on PostgreSQL, brought up to date.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::timeout;
use verbatim_archive_postgres::{Migrated, PostgresConfig};

use super::Setting;
use crate::terminal;
use crate::waits::Waits;

/// How long a database that can't be reached yet is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(setting: &Setting) -> Result<ExitCode> {
    let postgres = setting.config.required_postgres()?;
    let (logs, _metrics) = setting.telemetry()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let migrated = runtime.block_on(migrate(&postgres));
    drop(logs);
    let (migrated, address) = (migrated?, postgres.address());
    terminal::out(match migrated {
        Migrated { from: None, to } => {
            format!("made the archive's schema in PostgreSQL at {address}: version {to}")
        }
        Migrated { from: Some(from), to } if from == to => {
            format!("the archive's schema in PostgreSQL at {address} is up to date: version {to}")
        }
        Migrated { from: Some(from), to } => {
            format!("brought the archive's schema in PostgreSQL at {address} from version {from} to {to}")
        }
    });
    Ok(ExitCode::SUCCESS)
}

async fn migrate(postgres: &PostgresConfig) -> Result<Migrated> {
    let waits = Waits::default();
    let migrating = waits.until("PostgreSQL", || verbatim_archive_postgres::migrate(postgres));
    match timeout(PATIENCE, migrating).await {
        Ok(migrated) => Ok(migrated?),
        Err(late) => Err(late)
            .with_context(|| format!("gave up after {} s: {}", PATIENCE.as_secs(), waits.now().join("; "))),
    }
}
