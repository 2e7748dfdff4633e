//! One role in a process of its own, on NATS, PostgreSQL and Meilisearch.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::Unpaced;
use verbatim_web::NoGateway;

use super::Service;
use super::parts::Working;
use super::probes::{Asked, Probes};
use super::stores::{self, LogStore, Records};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::signals::Signals;

/// Nothing to yield to, and nobody in this process to tell.
fn working() -> Working {
    Working { pace: Arc::new(Unpaced), committed: Arc::default() }
}

impl Service {
    /// It serves at once; until NATS is there, what it captures is kept in its spool.
    pub(super) async fn start_gateway(
        &mut self,
        config: &Config,
        environment: &BTreeMap<String, String>,
        background: &Handle,
    ) -> Result<()> {
        let secret = config.required_secret()?;
        let nats = config.required_nats()?;
        stores::refuse_abandoned_log(self.directory()?, config).await?;
        let log = self.add_late_log(nats);
        let relaying = self.add_gateway(config, environment, log, secret, background).await?;
        self.add_probes_of_gateway(config, &relaying).await?;
        self.announce()
    }

    pub(super) async fn start_recorder(&mut self, config: &Config, signals: &mut Signals) -> Result<()> {
        let (nats, postgres) = (config.required_nats()?, config.required_postgres()?);
        let probes = self.add_probes(config.settings.recorder.listen.0, "[recorder] listen").await?;
        let waits = self.waits.clone();
        let connecting = async {
            tokio::try_join!(stores::connect_log(nats, &waits), stores::connect_archive(postgres, &waits))
        };
        let (log, archive) = self.until(signals, connecting).await?;
        self.stores.push(log.clone());
        let records = Records { archive, index: None };
        self.keep(&records);
        probes.ask(Asked {
            log: Some(log.clone()),
            archive: Some(records.archive.clone()),
            ..Asked::default()
        });
        self.add_recorder(config, log, &records, working(), &Handle::current());
        Ok(())
    }

    /// Without Meilisearch it waits, not ready: once there is one, its index is built from the archive.
    pub(super) async fn start_indexer(&mut self, config: &Config, signals: &mut Signals) -> Result<()> {
        const NOTHING_TO_DO: &str = "there is no word search to keep up: set [meilisearch] url (VERBATIM_MEILISEARCH__URL), \
                                     then start the indexer again";
        let postgres = config.required_postgres()?;
        let probes = self.add_probes(config.settings.indexer.listen.0, "[indexer] listen").await?;
        let Some(meilisearch) = config.meilisearch()? else {
            tracing::warn!("{NOTHING_TO_DO}");
            probes.ask(Asked { problem: Some(NOTHING_TO_DO), ..Asked::default() });
            return Ok(());
        };
        let waits = self.waits.clone();
        let archive = self.until(signals, stores::connect_archive(postgres, &waits)).await?;
        let index = stores::index_on_engine(meilisearch)?;
        let records = Records { archive, index: Some(index.clone()) };
        self.keep(&records);
        probes.ask(Asked {
            archive: Some(records.archive.clone()),
            index: Some(index.clone()),
            ..Asked::default()
        });
        self.add_indexer(&records, index, working(), &Handle::current());
        Ok(())
    }

    /// Its address answers probes while PostgreSQL is waited for; then it is the dashboard's.
    pub(super) async fn start_web(&mut self, config: &Config, signals: &mut Signals) -> Result<()> {
        let secret = config.required_secret()?;
        let postgres = config.required_postgres()?;
        let probes = self.add_probes_of_web(config).await?;
        let waits = self.waits.clone();
        // Nobody has logged in.
        let waiting = Probes::bind(config.settings.web.listen.0, "--web-addr", waits.clone(), None).await?;
        let connecting = async {
            tokio::select! {
                archive = stores::connect_archive(postgres, &waits) => archive,
                () = waiting.run(CancellationToken::new()) => bail!("the probes' listener ended by itself"),
            }
        };
        let archive = self.until(signals, connecting).await?;
        let index = config.meilisearch()?.map(stores::index_on_engine).transpose()?;
        let records = Records { archive, index: index.map(|index| index as _) };
        self.keep(&records);
        probes.iter().for_each(|probes| probes.ask(Asked::of_web(&records)));
        let log = config.nats()?.map(|nats| self.add_late_log(nats) as Arc<dyn LogStore>);
        self.add_web(config, log, records, Arc::new(NoGateway), &secret, &Handle::current()).await
    }

    /// Remembers archive and index, to be closed in the end.
    pub(super) fn keep(&mut self, records: &Records) {
        self.archive = Some(records.archive.clone());
        self.stores.push(records.archive.clone());
        self.stores.extend(records.index.clone().map(|index| index as _));
    }

    pub(super) fn directory(&self) -> Result<&DataDir> {
        self.held.as_ref().map(|held| &held.directory).context("this role keeps nothing on this machine")
    }
}
