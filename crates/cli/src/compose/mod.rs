//! All roles in one process: opens the stores, starts the roles on them, and ends everything in order.

mod background;
mod health;
mod pace;
pub(crate) mod stores;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use verbatim_archive_sqlite::SqliteArchive;
use verbatim_core::ports::{Pace, SystemClock};
use verbatim_gateway::{Gateway, GatewayConfig, HealthHandle};
use verbatim_log_sqlite::SqliteLog;
use verbatim_search_sqlite::SqliteSearch;
use verbatim_telemetry::Metrics;
use verbatim_web::Web;

use crate::config::Config;
use crate::data_dir::{Held, Instance};
use crate::descriptors::Descriptors;
use crate::roles::Roles;
use crate::signals::{Ending, Signals};
use health::OwnGateway;
use pace::BesideRelay;

/// What a service is made from.
pub(crate) struct Plan {
    pub(crate) config: Config,
    /// For providers' keys.
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) held: Held,
    pub(crate) metrics: Metrics,
    /// The runtime of everything that must not hold up the relay.
    pub(crate) background: Handle,
}

/// A running relay with all that records and shows.
pub(crate) struct Service {
    /// How to reach it.
    pub(crate) instance: Instance,
    /// What runs.
    pub(crate) roles: Roles,
    /// How many files and sockets the process may have open.
    pub(crate) descriptors: Descriptors,
    /// The archive, to be read until [`close`](Self::close).
    pub(crate) archive: Option<Arc<SqliteArchive>>,
    index: Option<Arc<SqliteSearch>>,
    logs: Vec<Arc<SqliteLog>>,
    // Last: nobody else gets in before all of that has ended.
    pub(crate) held: Held,
}

/// The relay's side, once it runs.
struct Relaying {
    log: Arc<SqliteLog>,
    health: HealthHandle,
    config: GatewayConfig,
    secret: [u8; 32],
}

impl Service {
    /// Starts everything; what was started is ended again where something fails.
    pub(crate) async fn start(plan: Plan) -> Result<Self> {
        let Plan { config, environment, held, metrics, background } = plan;
        let mut service = Self {
            instance: Instance::of_this_process(),
            roles: Roles::default(),
            descriptors: Descriptors::raise(),
            archive: None,
            index: None,
            logs: Vec::new(),
            held,
        };
        service.instance.upstreams = config.other_upstreams();
        let starting = async {
            let directory = service.held.directory.clone();
            // Both take longer than the log, which is all that the relay waits for.
            let (for_archive, for_index) = (directory.clone(), directory);
            let archive = background.spawn_blocking(move || stores::archive(&for_archive));
            let index = background.spawn_blocking(move || stores::index(&for_index));
            let relaying = service.start_relay(&config, &environment, &background).await?;
            service.archive = Some(archive.await??);
            service.index = Some(index.await??);
            service.start_recording(&config, &relaying, &background);
            service.start_web(&config, relaying, metrics, &background).await
        };
        match starting.await {
            Ok(()) => Ok(service),
            Err(error) => {
                // The first error is the one to tell.
                let _ = service.roles.drain().await;
                let _ = service.close().await;
                Err(error)
            }
        }
    }

    async fn start_relay(
        &mut self,
        config: &Config,
        environment: &BTreeMap<String, String>,
        background: &Handle,
    ) -> Result<Relaying> {
        let directory = &self.held.directory;
        let secret = self.held.secret()?;
        let settings = &config.settings;
        let (log, spool) = tokio::try_join!(
            stores::log(directory, settings, background),
            stores::spool(directory, settings, background)
        )?;
        self.logs = vec![log.clone(), spool.clone()];
        let identity = format!("g-{:016x}", rand::random::<u64>());
        let mut config = config.gateway(environment, &identity, secret, Some(&directory.spool()))?;
        config.connections.connections = self.descriptors.relay_connections();
        let ports =
            verbatim_gateway::Ports { log: log.clone(), spool: Some(spool), clock: Arc::new(SystemClock) };
        let gateway = Gateway::bind(config.clone(), ports).await?;
        let health = gateway.health();
        self.instance.gateway = format!("http://{}", gateway.local_addr());
        self.roles.add("gateway", &Handle::current(), |token| async move { Ok(gateway.run(token).await?) });
        self.held.announce(&self.instance)?;
        Ok(Relaying { log, health, config, secret })
    }

    fn start_recording(&mut self, config: &Config, relaying: &Relaying, background: &Handle) {
        let (Some(archive), Some(index)) = (self.archive.clone(), self.index.clone()) else { return };
        let committed = Arc::new(Notify::new());
        let log_bytes = config.settings.capture_log.max_bytes.0;
        let pace: Arc<dyn Pace> =
            Arc::new(BesideRelay::new(&Handle::current(), relaying.log.clone(), log_bytes));
        let ports = verbatim_recorder::Ports {
            log: relaying.log.clone(),
            archive: archive.clone(),
            index: Some(index.clone()),
            clock: Arc::new(SystemClock),
            pace: Arc::clone(&pace),
            committed: Arc::clone(&committed),
        };
        let config = config.recorder();
        self.roles.add("recorder", background, |token| async move {
            Ok(verbatim_recorder::run(config, ports, token).await?)
        });
        self.roles.add("indexer", background, |token| {
            background::index_all(archive, index, committed, pace, token)
        });
    }

    async fn start_web(
        &mut self,
        config: &Config,
        relaying: Relaying,
        metrics: Metrics,
        background: &Handle,
    ) -> Result<()> {
        let Relaying { log, health, config: gateway, secret } = relaying;
        let archive = self.archive.clone().context("web needs an archive")?;
        let session_secret = blake3::derive_key("verbatim web session 1", &secret);
        let render = metrics.clone();
        let ports = verbatim_web::Ports {
            archive,
            index: self.index.clone().map(|index| index as _),
            live: Some(log.clone()),
            log: Some(log),
            clock: Arc::new(SystemClock),
            health: Arc::new(OwnGateway::new(health, &gateway)),
            render_metrics: Arc::new(move || render.render()),
        };
        let mut config = config.web(session_secret, self.instance.gateway.clone())?;
        config.connections.connections = self.descriptors.web_connections();
        config.revoked_sessions = Some(self.held.directory.revoked_sessions());
        // Its socket belongs to the runtime that serves it.
        let web = background.spawn(Web::bind(config, ports)).await??;
        self.instance.web = Some(format!("http://{}", web.local_addr()));
        self.roles.add("web", background, |token| async move {
            web.run(token).await;
            Ok(())
        });
        self.roles.add("metrics", background, |token| background::upkeep(metrics, token));
        self.held.announce(&self.instance)?;
        Ok(())
    }

    /// Runs until a signal comes or a role fails, then ends everything in order. A second signal ends the process at
    /// once.
    pub(crate) async fn run(mut self, signals: &mut Signals) -> Result<()> {
        let failure = tokio::select! {
            failure = self.roles.first_failure() => Some(failure),
            ending = signals.next() => {
                tracing::info!("{ending}: ending; calls under way may finish, a second signal ends at once");
                None
            }
        };
        let drained = self.drain(signals).await;
        let closed = self.close().await;
        failure.map_or(drained.and(closed), Err)
    }

    /// Ends the roles in order: the relay first, so that all it has begun is recorded. A signal meanwhile ends the
    /// process at once.
    pub(crate) async fn drain(&mut self, signals: &mut Signals) -> Result<()> {
        tokio::select! {
            drained = self.roles.drain() => drained,
            ending = signals.next_wish() => end_at_once(ending),
        }
    }

    /// Closes the stores, once nothing runs on them any more; side by side, since each waits for the disk.
    pub(crate) async fn close(&mut self) -> Result<()> {
        let logs = self.logs.iter().map(|log| log.shutdown());
        let index = async {
            if let Some(index) = self.index.take() {
                index.close().await;
            }
        };
        let archive = async {
            if let Some(archive) = self.archive.take() {
                archive.close().await;
            }
        };
        let (closed, (), ()) = tokio::join!(try_join_all(logs), index, archive);
        closed.map(drop).context("the capture log did not close in order")
    }
}

/// The second signal: whoever sends it does not want to wait. What is in the log is recorded at the next start.
fn end_at_once(ending: Ending) -> ! {
    crate::terminal::tell(format_args!("verbatim: {ending} again: ended at once"));
    std::process::exit(ending.exit_code().into())
}
