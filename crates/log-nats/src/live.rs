//! Looking on: what passes on the log's subjects, over a connection of its own.
//!
//! An onlooker who is slow loses messages, never those who write; the connection stands while somebody looks on.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{BoxStream, unfold};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::LiveMessage;

use crate::address::Servers;
use crate::config::Config;
use crate::connect;
use crate::error::NatsLogError;
use crate::events::Events;
use crate::wire;

/// Payload bytes of the newest messages that are kept for onlookers.
const KEPT_BYTES: usize = 8 << 20;
/// And how many messages.
const KEPT: usize = 16 * 1024;
/// Messages that wait to be looked at by us; the client library drops what is more.
const SUBSCRIPTION: usize = 1024;
/// An onlooker takes so many at a time, so that it never holds up the others for long.
const AT_A_TIME: usize = 64;
const RETRY: Duration = Duration::from_secs(1);

/// Those who look on, and what they can see.
pub(crate) struct Onlookers {
    ring: Mutex<Ring>,
    changed: Notify,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Ring {
    newest: VecDeque<LiveMessage>,
    bytes: usize,
    /// How many ever came: the number of the next one.
    seen: u64,
    closed: bool,
}

impl Ring {
    fn push(&mut self, message: LiveMessage) {
        self.bytes += size(&message);
        self.seen += 1;
        self.newest.push_back(message);
        while (self.bytes > KEPT_BYTES || self.newest.len() > KEPT)
            && let Some(old) = self.newest.pop_front()
        {
            self.bytes -= size(&old);
        }
    }
}

fn size(message: &LiveMessage) -> usize {
    match message {
        LiveMessage::Passed(message) => message.payload.len(),
        LiveMessage::Missed(_) => 0,
    }
}

impl Onlookers {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { ring: Mutex::default(), changed: Notify::new(), count: watch::Sender::new(0) })
    }

    /// What passes from now on, as soon as the server is told.
    pub(crate) fn subscribe(self: &Arc<Self>) -> BoxStream<'static, LiveMessage> {
        let next = self.ring().seen;
        self.count.send_modify(|count| *count += 1);
        let onlooker = Onlooker { shared: Arc::clone(self), next, taken: VecDeque::new() };
        unfold(onlooker, |mut onlooker| async { Some((onlooker.next().await?, onlooker)) }).boxed()
    }

    /// Lets them see until the log is closed.
    pub(crate) async fn run(self: Arc<Self>, config: Config, closing: CancellationToken) {
        let mut count = self.count.subscribe();
        let work = async {
            // Can't fail: the sender lives in self.
            while count.wait_for(|&count| count > 0).await.is_ok() {
                if let Err(error) = self.look(&config).await {
                    tracing::warn!(%error, "what passes in the capture log can't be seen now");
                    sleep(RETRY).await;
                }
            }
        };
        closing.run_until_cancelled(work).await;
        self.ring().closed = true;
        self.changed.notify_waiters();
    }

    /// Shows what passes until nobody looks on.
    async fn look(&self, config: &Config) -> Result<(), NatsLogError> {
        let events = Events::new();
        let (servers, mut changes) = (Servers::new(config)?, events.changes());
        let client = connect::client(config, &servers, SUBSCRIPTION, Arc::clone(&events)).await?;
        let subscribed = client.subscribe("cap.>").await;
        let mut passing = subscribed.map_err(|error| NatsLogError::Unreachable {
            address: servers.shown.clone(),
            why: format!("subscribing to what passes: {error}"),
        })?;
        let (mut count, mut connects) = (self.count.subscribe(), client.statistics().connects.load(Relaxed));
        loop {
            tokio::select! {
                message = passing.next() => match message.as_ref().map(wire::received) {
                    Some(Ok(message)) => self.push(LiveMessage::Passed(message)),
                    // Somebody else's; whoever reads it for good sets it aside.
                    Some(Err(_)) => {}
                    None => return Ok(()),
                },
                _ = changes.changed() => {
                    let now = client.statistics().connects.load(Relaxed);
                    // Nobody knows what passed while there was no connection.
                    let missed = events.take_dropped() + u64::from(now > connects);
                    connects = now;
                    if missed > 0 {
                        self.push(LiveMessage::Missed(missed));
                    }
                }
                _ = count.wait_for(|&count| count == 0) => return Ok(()),
            }
        }
    }

    fn push(&self, message: LiveMessage) {
        self.ring().push(message);
        self.changed.notify_waiters();
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where one onlooker is.
struct Onlooker {
    shared: Arc<Onlookers>,
    next: u64,
    taken: VecDeque<LiveMessage>,
}

impl Onlooker {
    async fn next(&mut self) -> Option<LiveMessage> {
        let shared = Arc::clone(&self.shared);
        while self.taken.is_empty() {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.look() {
                return None;
            }
            if self.taken.is_empty() {
                changed.await;
            }
        }
        self.taken.pop_front()
    }

    /// Takes what is new; true if nothing will ever come.
    fn look(&mut self) -> bool {
        let ring = self.shared.ring();
        let oldest = ring.seen - ring.newest.len() as u64;
        let missed = oldest.saturating_sub(self.next);
        if missed > 0 {
            self.taken.push_back(LiveMessage::Missed(missed));
            self.next = oldest;
        }
        let skip = usize::try_from(self.next - oldest).unwrap_or(usize::MAX);
        let new = ring.newest.iter().skip(skip).take(AT_A_TIME);
        self.taken.extend(new.cloned().inspect(|_| self.next += 1));
        self.taken.is_empty() && ring.closed
    }
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        self.shared.count.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use verbatim_core::model::ExchangeId;
    use verbatim_core::ports::{Message, MessageKind};

    use super::*;

    fn passed(bytes: usize) -> LiveMessage {
        let (kind, exchange) = (MessageKind::Part, ExchangeId::mint());
        LiveMessage::Passed(Message {
            kind,
            gateway: "g".into(),
            exchange,
            payload: Bytes::from(vec![0; bytes]),
        })
    }

    #[tokio::test]
    async fn a_slow_onlooker_hears_how_much_it_missed_and_what_is_kept_is_bounded() {
        let onlookers = Onlookers::new();
        let (mut slow, mut late) = (onlookers.subscribe(), onlookers.subscribe());
        (0..10).for_each(|_| onlookers.push(passed(KEPT_BYTES / 4)));
        assert!(onlookers.ring().bytes <= KEPT_BYTES);
        assert!(matches!(slow.next().await, Some(LiveMessage::Missed(6))));
        assert!(matches!(slow.next().await, Some(LiveMessage::Passed(_))));
        (0..=KEPT).for_each(|_| onlookers.push(passed(0)));
        assert_eq!(onlookers.ring().newest.len(), KEPT);
        let missed = 10 + 1;
        assert!(matches!(late.next().await, Some(LiveMessage::Missed(count)) if count == missed));
        drop((slow, late));
        assert_eq!(*onlookers.count.borrow(), 0);
    }
}
