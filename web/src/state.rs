//! What every handler shares.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::WebConfig;
use crate::live::Hub;
use crate::ports::Ports;
use crate::security::{Revoked, Sessions, Throttle};

/// At most so many bodies are read and parsed at a time: each may be tens of megabytes.
const READINGS_AT_ONCE: usize = 3;

pub(crate) struct App {
    pub(crate) config: WebConfig,
    pub(crate) ports: Ports,
    pub(crate) sessions: Sessions,
    pub(crate) throttle: Throttle,
    pub(crate) hub: Arc<Hub>,
    pub(crate) readings: Semaphore,
    /// Cancelled when the server stops; ends streams that would go on for ever.
    pub(crate) stop: CancellationToken,
    /// The API's description, as JSON.
    pub(crate) openapi: String,
}

pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(
        config: WebConfig,
        ports: Ports,
        hub: Arc<Hub>,
        revoked: Revoked,
        openapi: String,
        stop: CancellationToken,
    ) -> Shared {
        Arc::new(Self {
            sessions: Sessions::new(&config.session_secret, &config.password, revoked),
            throttle: Throttle::default(),
            readings: Semaphore::new(READINGS_AT_ONCE),
            config,
            ports,
            hub,
            stop,
            openapi,
        })
    }
}
