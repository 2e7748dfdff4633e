//! All roles in one process, on SQLite files, on PostgreSQL, or on PostgreSQL with NATS, Meilisearch or both.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::Service;
use super::health::OwnGateway;
use super::pace::BesideRelay;
use super::parts::{Relaying, Working};
use super::probes::Asked;
use super::stores::{self, LogStore, Records};
use crate::config::Config;
use crate::shell;
use crate::signals::Signals;

impl Service {
    /// The relay first, which waits for nothing but its log.
    pub(super) async fn start_everything(
        &mut self,
        config: &Config,
        environment: &BTreeMap<String, String>,
        background: &Handle,
        signals: &mut Signals,
    ) -> Result<()> {
        config.check_engines_of_one_process()?;
        let directory = self.directory()?.clone();
        if config.settings.postgres.url.is_some() && directory.archive().exists() {
            let command = format!("verbatim import --from-data-dir {}", shell::word(directory.root()));
            tracing::warn!(
                "the archive is in PostgreSQL, and earlier records in {} are not shown: `{command}` carries them over, once \
                 this process has ended",
                directory.archive().display()
            );
        }
        // Both take longer than the log, which is all that the relay waits for.
        let mut opening = JoinSet::new();
        let (for_records, settings, waits) = (directory.clone(), config.clone(), self.waits.clone());
        opening.spawn_on(async move { Records::open(&settings, &for_records, &waits).await }, background);
        let log: Arc<dyn LogStore> = match config.nats()? {
            Some(nats) => {
                stores::refuse_abandoned_log(&directory, config).await?;
                self.add_late_log(nats)
            }
            None => {
                let log = stores::embedded_log(&directory, config, background).await?;
                self.stores.push(log.clone());
                log
            }
        };
        let secret = self.secret(config)?;
        let relaying = self.add_gateway(config, environment, log.clone(), secret, background).await?;
        self.add_probes_of_gateway(config, &relaying).await?;
        let probes_of_web = self.add_probes_of_web(config).await?;
        self.announce()?;
        let opened = async { opening.join_next().await.context("nothing opens the archive")?? };
        let records = self.until(signals, opened).await?;
        self.keep(&records);
        probes_of_web.iter().for_each(|probes| probes.ask(Asked::of_web(&records)));
        let Relaying { health, config: gateway } = relaying;
        let pace = BesideRelay::new(&Handle::current(), log.clone());
        let working = Working { pace: Arc::new(pace), committed: Arc::default() };
        self.add_recorder(config, log.clone(), &records, working.clone(), background);
        if let Some(index) = records.index.clone() {
            self.add_indexer(&records, index, working, background);
        }
        let health = Arc::new(OwnGateway::new(health, &gateway));
        self.add_web(config, Some(log), records, health, &secret, background).await
    }

    /// The configured secret, or the data directory's own.
    fn secret(&self, config: &Config) -> Result<[u8; 32]> {
        match (config.secret()?, &self.held) {
            (Some(secret), _) => Ok(secret),
            (None, Some(held)) => Ok(held.secret()?),
            (None, None) => Ok(config.required_secret()?),
        }
    }
}
