//! The bounded queue between the request path and the publisher, and the one place where its bytes are counted.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::Queued;
use crate::config::QueueLimits;
use crate::health::Gauges;

/// The queue. Bytes are reserved before an event is pushed, and stay charged until what they became is durable or
/// given up: so the budget covers everything that recording holds in memory.
#[derive(Debug)]
pub(crate) struct Queue {
    events: Mutex<Vec<Queued>>,
    filled: Notify,
    limits: QueueLimits,
    body_limit: u64,
    gauges: Arc<Gauges>,
    /// Calls that are dropped from now on were interrupted by the gateway, not by their caller.
    interrupting: AtomicBool,
}

impl Queue {
    pub(crate) fn new(limits: QueueLimits, body_limit: u64, gauges: Arc<Gauges>) -> Self {
        Self {
            events: Mutex::default(),
            filled: Notify::new(),
            limits,
            body_limit,
            gauges,
            interrupting: AtomicBool::new(false),
        }
    }

    /// Reserves bytes for an exchange that has `charged` of them already; `false` where a budget has no room.
    pub(super) fn try_reserve(&self, charged: &AtomicUsize, bytes: usize) -> bool {
        if charged.fetch_add(bytes, Relaxed) + bytes > self.limits.exchange {
            charged.fetch_sub(bytes, Relaxed);
            return false;
        }
        if self.gauges.queue_bytes.fetch_add(bytes, Relaxed) + bytes > self.limits.total {
            self.release(charged, bytes);
            return false;
        }
        true
    }

    /// Charges bytes that must be taken whether there is room or not: heads, which are few and small.
    pub(super) fn charge(&self, charged: &AtomicUsize, bytes: usize) {
        charged.fetch_add(bytes, Relaxed);
        self.gauges.queue_bytes.fetch_add(bytes, Relaxed);
    }

    /// Gives bytes back.
    pub(super) fn release(&self, charged: &AtomicUsize, bytes: usize) {
        charged.fetch_sub(bytes, Relaxed);
        self.gauges.queue_bytes.fetch_sub(bytes, Relaxed);
    }

    /// Hands an event over. Never waits: the lock is held for a push or a swap.
    pub(super) fn push(&self, queued: Queued) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(queued);
        let first = events.len() == 1;
        drop(events);
        if first {
            self.filled.notify_one();
        }
    }

    /// Takes everything that waits, in order; `empty` is left in its place so that its room is used again.
    pub(crate) fn take(&self, empty: &mut Vec<Queued>) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *events, empty);
    }

    /// Waits until something waits.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Whether more than this share (in percent) of the budget is used.
    pub(crate) fn is_over(&self, percent: usize) -> bool {
        self.gauges.queue_bytes.load(Relaxed) > self.limits.total / 100 * percent
    }

    /// The budgets.
    pub(crate) const fn limits(&self) -> QueueLimits {
        self.limits
    }

    /// Bytes of a body that are recorded at most.
    pub(crate) const fn body_limit(&self) -> u64 {
        self.body_limit
    }

    pub(crate) fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    /// From now on a call that is dropped counts as interrupted.
    pub(crate) fn interrupt(&self) {
        self.interrupting.store(true, Relaxed);
    }

    pub(super) fn is_interrupting(&self) -> bool {
        self.interrupting.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_budgets_hold_and_what_is_released_can_be_had_again() {
        let gauges = Arc::new(Gauges::default());
        let queue = Queue::new(QueueLimits { total: 100, exchange: 60 }, 60, Arc::clone(&gauges));
        let (one, two) = (AtomicUsize::new(0), AtomicUsize::new(0));
        assert!(queue.try_reserve(&one, 60));
        assert!(!queue.try_reserve(&one, 1), "the exchange's budget");
        assert!(!queue.try_reserve(&two, 41), "everyone's budget");
        assert!(queue.try_reserve(&two, 40));
        queue.release(&one, 60);
        assert!(queue.try_reserve(&two, 20));
        assert_eq!(gauges.queue_bytes.load(Relaxed), 60);
    }
}
