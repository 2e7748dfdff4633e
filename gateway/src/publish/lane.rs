//! One of the two ways a message can go: the capture log, or the spool.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use verbatim_core::ports::CaptureLog;

use super::backoff::Backoff;
use crate::health::Gauges;

/// So many appends are under way at once.
const APPENDS: usize = 4;

/// Names a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaneName {
    /// The capture log.
    Log,
    /// The disk beside the gateway.
    Spool,
}

/// A lane and how it fares. After a failure it is left alone for a while; then one append tries it.
pub(super) struct Lane {
    name: LaneName,
    store: Arc<dyn CaptureLog>,
    in_flight: usize,
    down: Option<Backoff>,
    gauges: Arc<Gauges>,
    /// More than this must not be in the spool.
    max_bytes: u64,
}

impl Lane {
    pub(super) fn new(
        name: LaneName,
        store: Arc<dyn CaptureLog>,
        gauges: Arc<Gauges>,
        max_bytes: u64,
    ) -> Self {
        Self { name, store, in_flight: 0, down: None, gauges, max_bytes }
    }

    pub(super) fn store(&self) -> Arc<dyn CaptureLog> {
        Arc::clone(&self.store)
    }

    /// Whether it took the last message it was given, and has room for more.
    pub(super) fn is_up(&self) -> bool {
        self.down.is_none() && !self.is_full()
    }

    /// Whether an append may begin now.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        if self.is_full() {
            return false;
        }
        match &self.down {
            None => self.in_flight < APPENDS,
            Some(down) => self.in_flight == 0 && down.is_over(now),
        }
    }

    /// An append begins.
    pub(super) const fn begun(&mut self) {
        self.in_flight += 1;
    }

    /// Where the lane is down, an exchange is about to try it; the others, which have another way, need not wait for
    /// how that one fares.
    pub(super) fn probed(&mut self, now: Instant) {
        if let Some(down) = &mut self.down {
            down.tried(now);
        }
    }

    /// What was to be appended could not be had: that says nothing of the lane.
    pub(super) const fn untried(&mut self) {
        self.in_flight -= 1;
    }

    /// An append is over.
    pub(super) fn ended(&mut self, worked: bool, now: Instant) {
        self.in_flight -= 1;
        if worked {
            if self.down.take().is_some() {
                tracing::info!(lane = ?self.name, "messages are taken again");
            }
        } else {
            self.down = Some(Backoff::after(self.down, now));
        }
        let flag = match self.name {
            LaneName::Log => &self.gauges.log_down,
            LaneName::Spool => &self.gauges.spool_down,
        };
        flag.store(self.down.is_some(), Relaxed);
    }

    /// Bytes were written to it.
    pub(super) fn wrote(&self, bytes: usize) {
        if self.name == LaneName::Spool {
            self.gauges.spool_bytes.fetch_add(bytes as u64, Relaxed);
        }
    }

    fn is_full(&self) -> bool {
        self.name == LaneName::Spool
            && (self.gauges.spool_bytes.load(Relaxed) >= self.max_bytes || self.gauges.disk_low.load(Relaxed))
    }
}
