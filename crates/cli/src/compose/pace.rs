//! Recording yields to relaying: while the relay's threads are busy, what can be recorded later is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::runtime::{Handle, RuntimeMetrics};
use verbatim_core::ports::{CaptureLog, Pace};
use verbatim_log_sqlite::SqliteLog;

/// The relay is busy when its threads work for more than this share of the time.
const BUSY: f64 = 0.6;
/// How often that is measured at most.
const LOOK: Duration = Duration::from_millis(50);

/// The pace of recording and indexing beside a relay in the same process.
pub(super) struct BesideRelay {
    relay: RuntimeMetrics,
    log: Arc<SqliteLog>,
    /// Once the log holds so many bytes, recording yields no longer: a log that is full loses more than time.
    backlog: u64,
    seen: Mutex<Seen>,
}

struct Seen {
    at: Instant,
    worked: Duration,
    busy: bool,
}

impl BesideRelay {
    /// Beside the relay that runs on `relay` and writes to `log`, which takes `log_bytes` at most.
    pub(super) fn new(relay: &Handle, log: Arc<SqliteLog>, log_bytes: u64) -> Self {
        let relay = relay.metrics();
        let seen = Seen { at: Instant::now(), worked: worked(&relay), busy: false };
        Self { relay, log, backlog: log_bytes / 4, seen: Mutex::new(seen) }
    }

    fn is_busy(&self) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let since = seen.at.elapsed();
        if since >= LOOK {
            let worked = worked(&self.relay);
            let share = (worked - seen.worked).as_secs_f64()
                / (since.as_secs_f64() * self.relay.num_workers().max(1) as f64);
            *seen = Seen { at: Instant::now(), worked, busy: share > BUSY };
        }
        seen.busy
    }

    async fn must_go_on(&self) -> bool {
        self.log.health().await.is_ok_and(|health| health.bytes > self.backlog)
    }
}

/// How long the threads of a runtime have worked since it began.
fn worked(metrics: &RuntimeMetrics) -> Duration {
    (0..metrics.num_workers()).map(|worker| metrics.worker_total_busy_duration(worker)).sum()
}

#[async_trait]
impl Pace for BesideRelay {
    async fn turn(&self, rest: Duration) {
        let since = Instant::now();
        while self.is_busy() && since.elapsed() < rest && !self.must_go_on().await {
            tokio::time::sleep(LOOK).await;
        }
    }
}
