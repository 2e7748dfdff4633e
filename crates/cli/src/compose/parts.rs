//! Each role, put on the stores it is given.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use verbatim_core::ports::{CaptureLog, Pace, SystemClock};
use verbatim_gateway::{Gateway, GatewayConfig, HealthHandle};
use verbatim_web::{PipelineHealth, RenderMetrics, Web};

use super::stores::{self, IndexStore, LateLog, LogStore, Records};
use super::{Service, background};
use crate::config::Config;

/// A relay that runs.
pub(super) struct Relaying {
    pub(super) health: HealthHandle,
    pub(super) config: GatewayConfig,
}

/// When recording and indexing go on, and how the one tells the other in the same process that there is work.
#[derive(Clone)]
pub(super) struct Working {
    pub(super) pace: Arc<dyn Pace>,
    pub(super) committed: Arc<Notify>,
}

impl Service {
    /// The relay, on this runtime, with its spool in the data directory.
    pub(super) async fn add_gateway(
        &mut self,
        config: &Config,
        environment: &BTreeMap<String, String>,
        log: Arc<dyn CaptureLog>,
        secret: [u8; 32],
        background: &Handle,
    ) -> Result<Relaying> {
        let directory = self.directory()?;
        let spool = stores::spool(directory, &config.settings, background).await?;
        let spool_directory = directory.spool();
        self.stores.push(spool.clone());
        let identity = format!("g-{:016x}", rand::random::<u64>());
        let mut gateway = config.gateway(environment, &identity, secret, Some(&spool_directory))?;
        gateway.connections.connections = self.descriptors.relay_connections();
        let ports = verbatim_gateway::Ports { log, spool: Some(spool), clock: Arc::new(SystemClock) };
        let relay = Gateway::bind(gateway.clone(), ports).await?;
        let health = relay.health();
        self.instance.gateway = format!("http://{}", relay.local_addr());
        self.roles.add("gateway", &Handle::current(), |token| async move { Ok(relay.run(token).await?) });
        Ok(Relaying { health, config: gateway })
    }

    /// What turns captured calls into records.
    pub(super) fn add_recorder(
        &mut self,
        config: &Config,
        log: Arc<dyn CaptureLog>,
        records: &Records,
        working: Working,
        on: &Handle,
    ) {
        let ports = verbatim_recorder::Ports {
            log,
            archive: records.archive.clone(),
            clock: Arc::new(SystemClock),
            pace: working.pace,
            committed: working.committed,
        };
        let config = config.recorder();
        self.roles.add("recorder", on, |token| async move {
            Ok(verbatim_recorder::run(config, ports, token).await?)
        });
    }

    /// What keeps word search up with the archive.
    pub(super) fn add_indexer(
        &mut self,
        records: &Records,
        index: Arc<dyn IndexStore>,
        working: Working,
        on: &Handle,
    ) {
        let (archive, waits) = (records.archive.clone(), self.waits.clone());
        self.roles.add("indexer", on, |token| background::index_all(archive, index, working, waits, token));
    }

    /// API and dashboard. `secret` is the one that keys the hashes of credentials.
    pub(super) async fn add_web(
        &mut self,
        config: &Config,
        log: Option<Arc<dyn LogStore>>,
        records: Records,
        health: Arc<dyn PipelineHealth>,
        secret: &[u8; 32],
        on: &Handle,
    ) -> Result<()> {
        let session_secret = blake3::derive_key("verbatim web session 1", secret);
        let ports = verbatim_web::Ports {
            control: records.archive.clone(),
            archive: records.archive,
            index: records.index.map(|index| index as _),
            live: log.clone().map(|log| log as _),
            log: log.map(|log| log as _),
            clock: Arc::new(SystemClock),
            health,
            render_metrics: self.render_metrics(),
        };
        let own = Some(self.instance.gateway.as_str()).filter(|own| !own.is_empty());
        let mut config = config.web(session_secret, config.gateway_url(own))?;
        config.connections.connections = self.descriptors.web_connections();
        // Its socket belongs to the runtime that serves it.
        let web = on.spawn(Web::bind(config, ports)).await??;
        self.instance.web = Some(format!("http://{}", web.local_addr()));
        self.roles.add("web", on, |token| async move {
            web.run(token).await;
            Ok(())
        });
        self.announce()
    }

    /// The capture log on NATS for those who don't wait for it.
    pub(super) fn add_late_log(&mut self, config: verbatim_log_nats::Config) -> Arc<LateLog> {
        let log = LateLog::new(config);
        self.stores.push(log.clone());
        let (connecting, waits) = (Arc::clone(&log), self.waits.clone());
        self.roles.add_beneath("capture log", &Handle::current(), |token| connecting.run(waits, token));
        log
    }

    /// What shows this process's metrics.
    pub(super) fn render_metrics(&self) -> RenderMetrics {
        let metrics = self.metrics.clone();
        Arc::new(move || metrics.render())
    }

    /// Keeps what metrics gather from growing.
    pub(super) fn add_upkeep(&mut self, on: &Handle) {
        let metrics = self.metrics.clone();
        self.roles.add_beneath("metrics", on, |token| background::upkeep(metrics, token));
    }
}
