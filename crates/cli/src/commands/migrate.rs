//! `migrate`: the schema of the archive on PostgreSQL, brought up to date, and what is set of the capture log's consumers
//! on NATS.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::timeout;
use verbatim_archive_postgres::Migrated;
use verbatim_core::ports::PortResult;
use verbatim_log_nats::Changed;

use super::Setting;
use crate::terminal;
use crate::waits::Waits;

/// How long an engine that can't be reached yet is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(setting: &Setting) -> Result<ExitCode> {
    let postgres = setting.config.required_postgres()?;
    let nats = setting.config.nats()?;
    let (logs, _metrics) = setting.telemetry()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let migrate = || verbatim_archive_postgres::migrate(&postgres);
    let migrated = runtime.block_on(patiently("PostgreSQL", migrate))?;
    let address = postgres.address();
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
    if let Some(nats) = nats {
        let nats = verbatim_log_nats::Config { connect_within: Duration::ZERO, ..nats };
        let migrate = || async { Ok(Box::pin(verbatim_log_nats::migrate(&nats)).await?) };
        for Changed { what, from, to } in runtime.block_on(patiently("NATS", migrate))? {
            terminal::out(format_args!(
                "{what} waits {to:?} for an acknowledgement now, {from:?} before: restart the roles with this setting"
            ));
        }
    }
    drop(logs);
    Ok(ExitCode::SUCCESS)
}

/// Tries for a while, where waiting can help.
async fn patiently<T, F>(engine: &'static str, migrate: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = PortResult<T>>,
{
    let waits = Waits::default();
    match timeout(PATIENCE, waits.until(engine, migrate)).await {
        Ok(migrated) => Ok(migrated?),
        Err(late) => Err(late)
            .with_context(|| format!("gave up after {} s: {}", PATIENCE.as_secs(), waits.now().join("; "))),
    }
}
