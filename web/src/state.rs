//! What every handler shares.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::WebConfig;
use crate::live::Hub;
use crate::ports::Ports;
use crate::security::{Sessions, Throttle};
use crate::stores::Stores;

pub(crate) struct App {
    pub(crate) config: WebConfig,
    pub(crate) ports: Ports,
    pub(crate) sessions: Sessions,
    pub(crate) throttle: Throttle,
    pub(crate) hub: Arc<Hub>,
    /// Those of `ports` that exchanges are found in.
    pub(crate) stores: Arc<Stores>,
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
        openapi: String,
        stop: CancellationToken,
    ) -> Shared {
        let (archive, index) = (Arc::clone(&ports.archive), ports.index.clone());
        let stores = Arc::new(Stores::new(archive, index, Arc::clone(&ports.clock)));
        let control = Arc::clone(&ports.control);
        Arc::new(Self {
            sessions: Sessions::new(&config.session_secret, &config.password, control),
            throttle: Throttle::default(),
            stores,
            config,
            ports,
            hub,
            stop,
            openapi,
        })
    }
}
