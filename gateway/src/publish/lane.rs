//! One of the two ways a message can go: the capture log, or the spool.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use verbatim_core::ports::CaptureLog;

use crate::health::Gauges;

/// So many appends are under way at once.
const APPENDS: usize = 4;
const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_AT_MOST: Duration = Duration::from_secs(1);

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
    down: Option<Down>,
    gauges: Arc<Gauges>,
    /// More than this must not be in the spool.
    max_bytes: u64,
}

struct Down {
    retry_at: Instant,
    backoff: Duration,
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
            Some(down) => self.in_flight == 0 && now >= down.retry_at,
        }
    }

    /// An append begins.
    pub(super) const fn begun(&mut self) {
        self.in_flight += 1;
    }

    /// An append is over.
    pub(super) fn ended(&mut self, worked: bool, now: Instant) {
        self.in_flight -= 1;
        if worked {
            if self.down.take().is_some() {
                tracing::info!(lane = ?self.name, "messages are taken again");
            }
        } else {
            let backoff = self.down.as_ref().map_or(BACKOFF, |down| (down.backoff * 2).min(BACKOFF_AT_MOST));
            self.down = Some(Down { retry_at: now + backoff, backoff });
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
