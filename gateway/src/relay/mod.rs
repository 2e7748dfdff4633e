//! What happens to one call, from its head to its end.

mod abort;
mod admit;
mod answer;
mod answer_body;
mod begin;
mod cors;
mod forward;
mod malformed;
mod own;
mod request_body;
mod timers;
mod tunnel;
mod watch;
mod websocket;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use verbatim_core::ports::Clock;
use verbatim_listen::Network;

use crate::capture::Queue;
use crate::config::{CaptureMode, Cors, Timeouts};
use crate::credentials::Policy;
use crate::health::Gauges;
use crate::redact::Redactor;
use crate::route::Routes;
use crate::upstream::Upstream;

pub(crate) use answer_body::AnswerBody;
pub(crate) use request_body::RequestBody;
pub(crate) use watch::WatchedExecutor;

/// Everything that calls share.
pub(crate) struct Relay {
    pub(crate) routes: Routes,
    pub(crate) redactor: Redactor,
    pub(crate) queue: Arc<Queue>,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) upstream: Upstream,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) capture: CaptureMode,
    pub(crate) policy: Policy,
    /// Whether only this machine reaches it.
    pub(crate) on_loopback: bool,
    /// The name that it is reached by from outside.
    pub(crate) public_host: Option<String>,
    pub(crate) cors: Cors,
    pub(crate) timeouts: Timeouts,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) tunnels: TaskTracker,
    /// Cancelled when calls that are still under way have to end.
    pub(crate) hard_stop: CancellationToken,
}

/// The connection that a call came on.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Set: the connection is to be reset when it is closed.
    pub(crate) reset: Arc<AtomicBool>,
}
