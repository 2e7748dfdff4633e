//! Recording yields to relaying: while the relay works hard and no processor is idle, what can be recorded later is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::runtime::{Handle, RuntimeMetrics};
use verbatim_core::ports::{CaptureLog, Pace, Turn};

/// The relay works hard when its threads do for more than this share of the time.
const BUSY: f64 = 0.3;
/// No processor is idle when all of them together are for less than this share of the time.
const IDLE: f64 = 0.25;
/// Once the log is filled to this share, recording yields no longer: a log that is full loses more than time.
const BACKLOG_SHARE: u64 = 4;
/// What a log counts as taking, where only what surrounds it bounds it.
const UNBOUNDED: u64 = 4 << 30;
/// How often that is measured at most.
const LOOK: Duration = Duration::from_millis(200);

/// The pace of recording and indexing beside a relay in the same process.
pub(super) struct BesideRelay {
    relay: RuntimeMetrics,
    log: Arc<dyn CaptureLog>,
    seen: Mutex<Seen>,
}

struct Seen {
    at: Instant,
    worked: Duration,
    processors: Option<Processors>,
    busy: bool,
}

/// What the machine's processors did since it began, in its own ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Processors {
    all: u64,
    idle: u64,
}

impl Processors {
    /// From the first line of Linux's `/proc/stat`; elsewhere nobody tells.
    fn now() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// `cpu`, then ticks as user, nice, system, idle, waiting for I/O, and others.
    fn parse(stat: &str) -> Option<Self> {
        let ticks = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
        let ticks: Vec<u64> = ticks.map(|ticks| ticks.parse().ok()).collect::<Option<_>>()?;
        Some(Self { all: ticks.iter().sum(), idle: ticks.get(3)? + ticks.get(4)? })
    }

    /// The share of the time since `before` in which they were idle.
    fn idle_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1);
        self.idle.saturating_sub(before.idle) as f64 / all as f64
    }
}

impl BesideRelay {
    /// Beside the relay that runs on `relay` and writes to `log`.
    pub(super) fn new(relay: &Handle, log: Arc<dyn CaptureLog>) -> Self {
        let relay = relay.metrics();
        let seen =
            Seen { at: Instant::now(), worked: worked(&relay), processors: Processors::now(), busy: false };
        Self { relay, log, seen: Mutex::new(seen) }
    }

    fn is_busy(&self) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let since = seen.at.elapsed();
        if since >= LOOK {
            let worked = worked(&self.relay);
            let share = (worked - seen.worked).as_secs_f64()
                / (since.as_secs_f64() * self.relay.num_workers().max(1) as f64);
            let processors = Processors::now();
            let idle = processors.zip(seen.processors).map_or(0.0, |(now, then)| now.idle_since(then));
            let busy = share > BUSY && idle < IDLE;
            *seen = Seen { at: Instant::now(), worked, processors, busy };
        }
        seen.busy
    }

    async fn must_go_on(&self) -> bool {
        let Ok(health) = self.log.health().await else { return false };
        health.bytes > health.max_bytes.unwrap_or(UNBOUNDED) / BACKLOG_SHARE
    }
}

/// How long the threads of a runtime have worked since it began.
fn worked(metrics: &RuntimeMetrics) -> Duration {
    (0..metrics.num_workers()).map(|worker| metrics.worker_total_busy_duration(worker)).sum()
}

#[async_trait]
impl Pace for BesideRelay {
    async fn turn(&self, rest: Duration) -> Turn {
        let since = Instant::now();
        while self.is_busy() && !self.must_go_on().await {
            if since.elapsed() >= rest {
                return Turn::Squeezed;
            }
            tokio::time::sleep(LOOK).await;
        }
        Turn::Free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_idle_time_is_read_from_the_system() {
        let before = Processors::parse("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2 3\n").unwrap();
        let after = Processors::parse("cpu  150 0 120 720 110 0 0 0 0 0\n").unwrap();
        assert!((after.idle_since(before) - 0.3).abs() < 1e-9);
        assert_eq!(Processors::parse("intr 1 2"), None);
        assert_eq!(Processors::parse("cpu  1 two 3"), None);
        assert_eq!(Processors::parse(""), None);
    }
}
