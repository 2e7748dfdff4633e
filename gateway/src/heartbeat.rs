//! Tells the capture log that this gateway lives, so that its open calls are not settled as lost. It speaks for the
//! processes before it as long as their calls are in its spool: settled, the log would let go of what it holds of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::{CaptureLog, Liveness};

use crate::spool::SpoolIndex;

/// Judges wait for fifteen seconds of silence: two beats may be missed.
const EVERY: Duration = Duration::from_secs(5);
const AT_MOST: Duration = Duration::from_secs(4);
/// The first beat waits until it is known what earlier processes left, but only so long for the next that becomes known.
const STOCK_PATIENCE: Duration = Duration::from_secs(20);

/// One sign of life. A log that can't take it now is no reason to stop; `missed` is why it could not the last time.
async fn beat(log: &Arc<dyn CaptureLog>, gateway: &str, missed: &mut Option<String>) {
    let why = match timeout(AT_MOST, log.heartbeat(gateway)).await {
        Ok(Ok(())) => {
            if missed.take().is_some() {
                tracing::info!("the capture log takes heartbeats again");
            }
            return;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {AT_MOST:?}"),
    };
    if missed.as_ref() != Some(&why) {
        tracing::warn!("the capture log takes no heartbeats: {why}");
        *missed = Some(why);
    }
}

/// How long it has been that nothing more became known of what earlier processes left.
struct Patience {
    steps: u64,
    since: Instant,
}

impl Patience {
    const fn new(now: Instant) -> Self {
        Self { steps: 0, since: now }
    }

    /// Whether it has been too long, when so much is known.
    fn is_over(&mut self, steps: u64, now: Instant) -> bool {
        if steps != self.steps {
            *self = Self { steps, since: now };
        }
        now.duration_since(self.since) >= STOCK_PATIENCE
    }
}

/// Waits until it is known for whom to speak, as long as that comes along: once one gateway is heard, those that are
/// not count as dead. Where others are heard, and this one counts as dead already, waiting keeps nobody alive.
async fn wait_for_stock(log: &Arc<dyn CaptureLog>, gateway: &str, spool: &SpoolIndex) {
    let mut patience = Patience::new(Instant::now());
    let mut looks = interval(EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = spool.known() => return,
            _ = looks.tick() => {}
        }
        if patience.is_over(spool.stock().steps, Instant::now()) {
            tracing::warn!("the spool can't be read: its exchanges may be settled before they are replayed");
            return;
        }
        if let Ok(Ok(Liveness::Dead)) = timeout(AT_MOST, log.liveness(gateway)).await {
            return;
        }
    }
}

/// Signs of life until `stop`.
pub(crate) async fn run(
    log: Arc<dyn CaptureLog>,
    gateway: Arc<str>,
    spool: Arc<SpoolIndex>,
    stop: CancellationToken,
) {
    // Where it is to stop, nothing more is said below.
    let _ = stop.run_until_cancelled(wait_for_stock(&log, &gateway, &spool)).await;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut missed = None;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        for earlier in spool.writers() {
            beat(&log, &earlier, &mut missed).await;
        }
        beat(&log, &gateway, &mut missed).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;
    use verbatim_testkit::MemoryLog;

    use super::*;

    #[test]
    fn a_spool_is_waited_for_as_long_as_reading_it_comes_along() {
        let start = Instant::now();
        let mut patience = Patience::new(start);
        let half = STOCK_PATIENCE / 2;
        for step in 1..100 {
            assert!(!patience.is_over(u64::from(step), start + half * step), "step {step}");
        }
        assert!(!patience.is_over(99, start + half * 100));
        assert!(patience.is_over(99, start + half * 101), "nothing came for too long");
    }

    #[tokio::test]
    async fn a_gateway_that_counts_as_dead_speaks_though_its_spool_is_not_read_yet() {
        let log = Arc::new(MemoryLog::new(Duration::ZERO));
        log.heartbeat("other").await.unwrap();
        let (mut tasks, index) = (JoinSet::new(), Arc::<SpoolIndex>::default());
        let spool = Arc::clone(&index);
        tasks.spawn(run(Arc::clone(&log) as _, "now".into(), spool, CancellationToken::new()));
        let heard = async {
            while log.liveness("now").await.unwrap() != Liveness::Alive {
                index.stock_goes_on();
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(30), heard).await.unwrap();
    }
}
