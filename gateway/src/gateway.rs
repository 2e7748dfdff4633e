//! A gateway's life: bind, serve, drain, flush.

use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use verbatim_core::ports::{CaptureLog, Clock};

use crate::accept::Acceptor;
use crate::capture::Queue;
use crate::config::{CaptureMode, ConfigError, GatewayConfig};
use crate::credentials::Policy;
use crate::health::{Gauges, HealthHandle};
use crate::heartbeat;
use crate::metrics::PipelineMetrics;
use crate::publish::{Publisher, PublisherConfig};
use crate::redact::{BodyKeys, Redactor};
use crate::relay::Relay;
use crate::route::Routes;
use crate::spool::{Replayer, ReplayerConfig, SpoolIndex, watch_disk};
use crate::upstream::Upstream;

/// How often unused connections to providers are looked at, and the pipeline's state is shown.
const TIDY: Duration = Duration::from_secs(1);
/// How often a drain looks if calls are over.
const DRAIN_LOOK: Duration = Duration::from_millis(5);
/// Connections that were told to close have so long to do so.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// What was captured has so long to get stored when the gateway stops, beside two tries of each lane.
const FLUSH: Duration = Duration::from_secs(3);

/// What a gateway asks of the outside.
#[derive(Clone)]
pub struct Ports {
    /// Where records go.
    pub log: Arc<dyn CaptureLog>,
    /// Where they wait while the log can't take them; used by this gateway alone.
    pub spool: Option<Arc<dyn CaptureLog>>,
    /// Tells the time of day.
    pub clock: Arc<dyn Clock>,
}

/// Why a gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A setting can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address can't be listened on.
    #[error(
        "can't listen on {address}: {error}; is another program using that port? choose another with --gateway-addr"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// A part of it panicked: it took no more calls from then on, and what it could not record is counted.
    #[error(
        "its {0} panicked, which is a fault of the program: the log says where; start it again, and report it"
    )]
    Panicked(&'static str),
}

/// A gateway that listens; it serves once it runs.
pub struct Gateway {
    listener: TcpListener,
    local_addr: SocketAddr,
    gauges: Arc<Gauges>,
    relay: Arc<Relay>,
    ports: Ports,
    config: GatewayConfig,
    body_keys: Arc<BodyKeys>,
    hard_stop: CancellationToken,
    tasks: TaskTracker,
}

impl Gateway {
    /// Checks the configuration and opens the socket. Callers that connect from now on wait until it runs.
    pub async fn bind(config: GatewayConfig, ports: Ports) -> Result<Self, GatewayError> {
        config.validate()?;
        let body_keys = Arc::new(BodyKeys::new(&config.redaction)?);
        let address = config.listen;
        let bind = |error| GatewayError::Bind { address, error };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let local_addr = listener.local_addr().map_err(bind)?;
        let gauges = Arc::<Gauges>::default();
        gauges.has_spool.store(ports.spool.is_some(), Relaxed);
        let hard_stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let relay = Arc::new(Relay {
            routes: Routes::new(&config),
            redactor: Redactor::new(config.hashing_secret.clone(), &config.redaction),
            queue: Arc::new(Queue::new(config.queue, config.max_recorded_body_bytes, Arc::clone(&gauges))),
            gauges: Arc::clone(&gauges),
            upstream: Upstream::new(config.timeouts.connect, tasks.clone()),
            clock: Arc::clone(&ports.clock),
            capture: config.capture,
            policy: Policy {
                allow_passthrough: config.allow_passthrough_keys,
                default_key: config.default_key,
            },
            on_loopback: local_addr.ip().to_canonical().is_loopback(),
            cors: config.cors.clone(),
            timeouts: config.timeouts,
            public_host: config.public_host.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            tunnels: tasks.clone(),
            hard_stop: hard_stop.clone(),
        });
        Ok(Self { listener, local_addr, gauges, relay, ports, config, body_keys, hard_stop, tasks })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// A view of the pipeline's health.
    pub fn health(&self) -> HealthHandle {
        HealthHandle(Arc::clone(&self.gauges))
    }

    /// Serves until `token` is cancelled, then drains: calls under way may finish up to the drain timeout, what
    /// was captured is flushed to the log or the spool.
    ///
    /// # Errors
    /// [`GatewayError::Panicked`]: as soon as a part of it has, it drains.
    pub async fn run(self, token: CancellationToken) -> Result<(), GatewayError> {
        let token = token.child_token();
        let gateway: Arc<str> = self.config.gateway_id.as_str().into();
        let pipeline = Pipeline::start(&self, &gateway);
        let connections = TaskTracker::new();
        let acceptor = Acceptor {
            relay: Arc::clone(&self.relay),
            connections: connections.clone(),
            limits: self.config.connections,
            soft_stop: token.clone(),
            hard_stop: self.hard_stop.clone(),
        };
        let Self { listener, relay, tasks, hard_stop, config, .. } = self;
        let listening = async {
            acceptor.run(listener).await;
        };
        let metrics = PipelineMetrics::new(Arc::clone(&relay.gauges));
        let tidying = async {
            let mut ticks = tokio::time::interval(TIDY);
            loop {
                ticks.tick().await;
                relay.upstream.tidy();
                metrics.show();
            }
        };
        tokio::select! {
            () = listening => {}
            () = tidying => {}
            () = pipeline.panicked() => token.cancel(),
        }

        drain(&relay, [&connections, &tasks], &hard_stop, config.timeouts.drain).await;
        pipeline.finish().await
    }
}

/// Lets calls finish up to `limit`, and interrupts the rest.
async fn drain(
    relay: &Relay,
    [connections, others]: [&TaskTracker; 2],
    hard_stop: &CancellationToken,
    limit: Duration,
) {
    connections.close();
    others.close();
    // Kept connections to providers would be waited for.
    let finished = async {
        while relay.gauges.in_flight.load(Relaxed) > 0 {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
        // Of answers that are over for us, hyper may still hold what their callers had no room for.
        connections.wait().await;
    };
    if timeout(limit, finished).await.is_err() {
        let interrupted = relay.gauges.in_flight.load(Relaxed);
        let open = connections.len();
        tracing::warn!(
            interrupted,
            open,
            "calls or their connections were not over within {limit:?} of the shutdown"
        );
        relay.queue.interrupt();
    }
    hard_stop.cancel();
    let stopped = async {
        connections.wait().await;
        others.wait().await;
    };
    if timeout(STOP_WITHIN, stopped).await.is_err() {
        tracing::warn!("connections were still open when the gateway stopped");
    }
}

const PUBLISHER: &str = "publisher";

/// What runs behind the queue.
struct Pipeline {
    tasks: TaskTracker,
    stop_publisher: CancellationToken,
    stop_others: CancellationToken,
    /// The first of them that panicked.
    panicked: watch::Sender<Option<&'static str>>,
}

impl Pipeline {
    fn start(gateway: &Gateway, name: &Arc<str>) -> Self {
        let Gateway { ports, config, relay, gauges, .. } = gateway;
        let pipeline = Self {
            tasks: TaskTracker::new(),
            stop_publisher: CancellationToken::new(),
            stop_others: CancellationToken::new(),
            panicked: watch::Sender::new(None),
        };
        let stop = &pipeline.stop_others;
        let spool_index = Arc::new(SpoolIndex::new(Arc::clone(gauges)));
        let publisher = Publisher::new(PublisherConfig {
            gateway: Arc::clone(name),
            body_keys: Arc::clone(&gateway.body_keys),
            queue: Arc::clone(&relay.queue),
            gauges: Arc::clone(gauges),
            log: Arc::clone(&ports.log),
            spool: ports.spool.clone(),
            spool_max_bytes: config.spool.max_bytes,
            spool_index: Arc::clone(&spool_index),
            urgent: config.capture == CaptureMode::Required,
            acknowledge: config.timeouts.acknowledge,
            flush: config.timeouts.acknowledge * 2 + FLUSH,
        });
        let panicked = pipeline.panicked.clone();
        let tell = move || note(&panicked, PUBLISHER);
        pipeline.spawn(PUBLISHER, publisher.run(pipeline.stop_publisher.clone(), tell));
        let (log, index) = (Arc::clone(&ports.log), Arc::clone(&spool_index));
        pipeline.spawn("heartbeat", heartbeat::run(log, Arc::clone(name), index, stop.clone()));
        if ports.spool.is_none() {
            spool_index.stock_taken();
        }
        if let Some(spool) = &ports.spool {
            let replayer = Replayer::new(ReplayerConfig {
                gateway: Arc::clone(name),
                log: Arc::clone(&ports.log),
                spool: Arc::clone(spool),
                index: spool_index,
                gauges: Arc::clone(gauges),
                acknowledge: config.timeouts.acknowledge,
            });
            pipeline.spawn("replayer of the spool", replayer.run(stop.clone()));
            if let Some(directory) = config.spool.directory.clone() {
                let least = config.spool.min_free_bytes;
                let watching = watch_disk(directory, least, Arc::clone(gauges), stop.clone());
                pipeline.spawn("watch of the spool's disk", watching);
            }
        }
        pipeline.tasks.close();
        pipeline
    }

    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let panicked = self.panicked.clone();
        self.tasks.spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                note(&panicked, name);
            }
        });
    }

    /// Returns once one of them has panicked.
    async fn panicked(&self) {
        // Can't fail: the sender lives in self.
        let _ = self.panicked.subscribe().wait_for(Option::is_some).await;
    }

    /// Publishes what is left, then stops.
    async fn finish(self) -> Result<(), GatewayError> {
        self.stop_publisher.cancel();
        self.stop_others.cancel();
        self.tasks.wait().await;
        let panicked = *self.panicked.borrow();
        panicked.map_or(Ok(()), |name| Err(GatewayError::Panicked(name)))
    }
}

/// Notes which one panicked first.
fn note(panicked: &watch::Sender<Option<&'static str>>, name: &'static str) {
    panicked.send_modify(|first| {
        first.get_or_insert(name);
    });
}

#[cfg(test)]
mod tests;
