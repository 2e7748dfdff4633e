//! Binding and serving.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{ConfigError, WebConfig};
use crate::live::Hub;
use crate::ports::Ports;
use crate::router::router;
use crate::security::Revoked;

/// Why the web role could not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The configuration will not be served.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address can't be listened at.
    #[error("web can't listen at {address}: {source}")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// Why it can't.
        source: io::Error,
    },
    /// Without them a session that was logged out would open again.
    #[error("the sessions that were logged out can't be read from {file}: {source}")]
    Revoked {
        /// Where they are kept.
        file: PathBuf,
        /// Why they can't be read.
        source: io::Error,
    },
}

/// The web role, listening and not yet serving.
pub struct Web {
    listener: TcpListener,
    local_addr: SocketAddr,
    config: WebConfig,
    ports: Ports,
    revoked: Revoked,
}

impl Web {
    /// Checks the configuration and opens the socket.
    pub async fn bind(config: WebConfig, ports: Ports) -> Result<Self, BindError> {
        config.validate()?;
        let revoked = Revoked::open(config.revoked_sessions.as_deref()).map_err(|source| {
            BindError::Revoked { file: config.revoked_sessions.clone().unwrap_or_default(), source }
        })?;
        let listen = |source| BindError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let local_addr = listener.local_addr().map_err(listen)?;
        Ok(Self { listener, local_addr, config, ports, revoked })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `stop` is cancelled and the requests that are under way are answered.
    pub async fn run(self, stop: CancellationToken) -> io::Result<()> {
        let Self { listener, config, ports, revoked, .. } = self;
        let stop = stop.child_token();
        let hub = Hub::new();
        let mut tasks = JoinSet::new();
        if let Some(live) = &ports.live {
            let (live, archive) = (Arc::clone(live), Arc::clone(&ports.archive));
            tasks.spawn(Arc::clone(&hub).run(live, archive, stop.clone()));
        }
        let router = router(config, ports, hub, revoked, stop.clone());
        let served = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(stop.clone().cancelled_owned())
            .await;
        // Also where serving ended by itself.
        stop.cancel();
        while tasks.join_next().await.is_some() {}
        served
    }
}
