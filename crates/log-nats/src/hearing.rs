//! Signs of life: plain messages that every process hears and no stream keeps.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::Subscriber;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use verbatim_core::ports::{Liveness, PortError, PortResult};

use crate::beats::Beats;
use crate::requests::Requests;
use crate::wire;

const SUBJECT: &str = "verbatim.beat";

/// Hears who lives.
pub(crate) struct Hearing {
    requests: Requests,
    beats: Mutex<Beats>,
    heard: Notify,
}

impl Hearing {
    /// Hears signs of life while [`Hearing::listen`] runs on the subscription that comes with it.
    pub(crate) async fn new(requests: Requests) -> PortResult<(Self, Subscriber)> {
        let subscribed = requests.client().subscribe(format!("{SUBJECT}.*")).await;
        let signs = subscribed.map_err(|error| PortError::transient("subscribing to heartbeats", error))?;
        Ok((Self { requests, beats: Mutex::default(), heard: Notify::new() }, signs))
    }

    /// Takes note of what is heard.
    pub(crate) async fn listen(&self, mut signs: Subscriber) {
        while let Some(sign) = signs.next().await {
            let token = sign.subject.strip_prefix(SUBJECT).and_then(|rest| rest.strip_prefix('.'));
            if let Some(gateway) = token.and_then(wire::gateway_of) {
                self.beats().beat(&gateway, Instant::now());
                self.heard.notify_waiters();
            }
        }
    }

    /// Says that a gateway lives; returns once that was heard here, as it is everywhere.
    pub(crate) async fn beat(&self, gateway: &str, within: Duration) -> PortResult<()> {
        let Some(token) = wire::gateway_token(gateway) else {
            let length = gateway.len();
            return Err(PortError::Permanent(format!(
                "a gateway's name of {length} bytes is too long for NATS"
            )));
        };
        let (before, deadline) = (self.beats().heard(gateway), Instant::now() + within);
        self.requests.tell(format!("{SUBJECT}.{token}").into(), Bytes::new(), within).await?;
        loop {
            let heard = self.heard.notified();
            tokio::pin!(heard);
            heard.as_mut().enable();
            if self.beats().heard(gateway) > before {
                return Ok(());
            }
            if timeout_at(deadline, heard).await.is_err() {
                let shown = self.requests.shown();
                return Err(PortError::Transient(format!(
                    "NATS at {shown} did not pass a heartbeat on in time"
                )));
            }
        }
    }

    pub(crate) fn liveness(&self, gateway: &str) -> Liveness {
        self.beats().liveness(gateway, Instant::now())
    }

    /// Nobody could be heard for a moment.
    pub(crate) fn cut_off(&self) {
        self.beats().cut_off();
    }

    fn beats(&self) -> MutexGuard<'_, Beats> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
