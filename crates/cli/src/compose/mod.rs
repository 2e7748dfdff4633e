//! Composes roles: opens the stores, starts the roles on them, and ends everything in order.

mod alone;
mod background;
mod health;
mod pace;
mod parts;
mod probes;
pub(crate) mod stores;
mod together;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use verbatim_telemetry::Metrics;

use crate::config::Config;
use crate::data_dir::{Held, Instance};
use crate::descriptors::Descriptors;
use crate::roles::Roles;
use crate::signals::{Ending, Signals};
use crate::waits::Waits;
use stores::{ArchiveStore, Store};

/// What a service is made from.
pub(crate) struct Plan {
    pub(crate) composition: Composition,
    pub(crate) config: Config,
    /// For providers' keys.
    pub(crate) environment: BTreeMap<String, String>,
    /// `None` for those that keep nothing on this machine.
    pub(crate) held: Option<Held>,
    pub(crate) metrics: Metrics,
    /// The runtime of everything that must not hold up the relay.
    pub(crate) background: Handle,
}

/// Which roles a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Composition {
    /// All of them, on whichever engines are configured.
    Everything,
    /// The relay, on NATS.
    Gateway,
    /// What turns captured calls into records, on NATS and PostgreSQL.
    Recorder,
    /// What keeps word search up, on PostgreSQL and Meilisearch.
    Indexer,
    /// API and dashboard, on PostgreSQL, with Meilisearch and NATS for what they add.
    Web,
}

/// Running roles, and the stores they run on.
pub(crate) struct Service {
    /// How to reach it.
    pub(crate) instance: Instance,
    /// Where it says how it is doing, if apart from callers; a URL.
    pub(crate) probes: Option<String>,
    /// What runs.
    pub(crate) roles: Roles,
    /// How many files and sockets the process may have open.
    pub(crate) descriptors: Descriptors,
    /// The archive, to be read until [`close`](Self::close).
    pub(crate) archive: Option<Arc<dyn ArchiveStore>>,
    waits: Waits,
    metrics: Metrics,
    stores: Vec<Arc<dyn Store>>,
    // Last: nobody else gets in before all of that has ended.
    pub(crate) held: Option<Held>,
}

/// Somebody wished for the end before everything had begun.
#[derive(Debug, thiserror::Error)]
#[error("{0} before it had started")]
struct EndedEarly(Ending);

impl Service {
    /// Starts everything; what was started is ended again where something fails. `None` where a signal came first.
    pub(crate) async fn start(plan: Plan, signals: &mut Signals) -> Result<Option<Self>> {
        let Plan { composition, config, environment, held, metrics, background } = plan;
        let mut service = Self {
            instance: Instance::of_this_process(),
            probes: None,
            roles: Roles::default(),
            descriptors: Descriptors::raise(),
            archive: None,
            waits: Waits::default(),
            metrics,
            stores: Vec::new(),
            held,
        };
        service.instance.upstreams = config.other_upstreams();
        service.instance.demo = config.is_demo();
        service.add_upkeep(&background);
        let started = match composition {
            Composition::Everything => {
                service.start_everything(&config, &environment, &background, signals).await
            }
            Composition::Gateway => service.start_gateway(&config, &environment, &background).await,
            Composition::Recorder => service.start_recorder(&config, signals).await,
            Composition::Indexer => service.start_indexer(&config, signals).await,
            Composition::Web => service.start_web(&config, signals).await,
        };
        match started {
            Ok(()) => Ok(Some(service)),
            Err(error) => {
                // The first error is the one to tell.
                let _ = service.drain(signals).await;
                let _ = service.close().await;
                if error.is::<EndedEarly>() { Ok(None) } else { Err(error) }
            }
        }
    }

    /// Waits for what is needed to go on, unless a role fails or a signal comes meanwhile.
    async fn until<T>(&mut self, signals: &mut Signals, ready: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            ready = ready => ready,
            failure = self.roles.first_failure() => Err(failure),
            ending = signals.next() => Err(EndedEarly(ending).into()),
        }
    }

    /// Tells others on this machine how to reach it.
    fn announce(&self) -> Result<()> {
        match &self.held {
            Some(held) => Ok(held.announce(&self.instance)?),
            None => Ok(()),
        }
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
            ending = signals.next_wish() => {
                if let Some(held) = &self.held {
                    held.delete_if_temporary();
                }
                end_at_once(ending)
            }
        }
    }

    /// Closes the stores, once nothing runs on them any more; side by side, since each waits for the disk.
    pub(crate) async fn close(&mut self) -> Result<()> {
        self.archive = None;
        let stores = std::mem::take(&mut self.stores);
        let closed = join_all(stores.iter().map(|store| store.close())).await;
        closed.into_iter().collect()
    }
}

/// The second signal: whoever sends it does not want to wait. What is in the log is recorded at the next start.
fn end_at_once(ending: Ending) -> ! {
    crate::terminal::tell(format_args!("verbatim: {ending} again: ended at once"));
    std::process::exit(ending.exit_code().into())
}
