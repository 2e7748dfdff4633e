//! A gateway's life: bind, serve, drain, flush.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::{CaptureLog, Clock};

use crate::config::{ConfigError, GatewayConfig};
use crate::health::{Gauges, HealthHandle};

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
}

/// A gateway that listens; it serves once it runs.
pub struct Gateway {
    listener: TcpListener,
    local_addr: SocketAddr,
    gauges: Arc<Gauges>,
}

impl Gateway {
    /// Checks the configuration and opens the socket. Callers that connect from now on wait until it runs.
    pub async fn bind(config: GatewayConfig, ports: Ports) -> Result<Self, GatewayError> {
        config.validate()?;
        let address = config.listen;
        let bind = |error| GatewayError::Bind { address, error };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let local_addr = listener.local_addr().map_err(bind)?;
        drop(ports);
        Ok(Self { listener, local_addr, gauges: Arc::default() })
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
    pub async fn run(self, token: CancellationToken) -> Result<(), GatewayError> {
        token.cancelled().await;
        drop(self.listener);
        Ok(())
    }
}

/// Binds and runs a gateway.
pub async fn run(config: GatewayConfig, ports: Ports, token: CancellationToken) -> Result<(), GatewayError> {
    Gateway::bind(config, ports).await?.run(token).await
}
