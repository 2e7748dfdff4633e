//! What the client library tells of the connection.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use async_nats::{Event, ServerError};
use tokio::sync::watch;

/// Hears the events of one client. They are hints: what counts is the connection's state when they are looked at.
#[derive(Debug)]
pub(crate) struct Events {
    changes: watch::Sender<u64>,
    refusal: Mutex<Option<String>>,
    /// Messages that a subscription had no room for.
    dropped: AtomicU64,
    metric: metrics::Counter,
}

impl Events {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            changes: watch::Sender::new(0),
            refusal: Mutex::default(),
            dropped: AtomicU64::new(0),
            metric: metrics::counter!("verbatim_nats_disconnects_total"),
        })
    }

    pub(crate) fn happened(&self, event: &Event) {
        match event {
            Event::Disconnected => {
                self.metric.increment(1);
                tracing::warn!("the connection to NATS is lost; connecting again");
            }
            Event::Connected => tracing::info!("connected to NATS"),
            Event::ServerError(ServerError::Other(text)) => {
                tracing::warn!(text, "NATS says that something is wrong");
                if text.to_ascii_lowercase().contains("permissions violation") {
                    *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.clone());
                }
            }
            Event::SlowConsumer(_) => drop(self.dropped.fetch_add(1, Relaxed)),
            Event::LameDuckMode
            | Event::Draining
            | Event::Closed
            | Event::ServerError(_)
            | Event::ClientError(_) => tracing::debug!(%event, "NATS"),
        }
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Tells of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Messages that a subscription had no room for since this was asked last; there may be more that nobody counted.
    pub(crate) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Relaxed)
    }

    /// What the server said when it did not let us use a subject.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
