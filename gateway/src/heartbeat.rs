//! Tells the capture log that this gateway lives, so that its open calls are not settled as lost. It speaks for the
//! processes before it as long as their calls are in its spool: settled, the log would let go of what it holds of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::CaptureLog;

use crate::spool::SpoolIndex;

/// Judges wait for fifteen seconds of silence: two beats may be missed.
const EVERY: Duration = Duration::from_secs(5);
const AT_MOST: Duration = Duration::from_secs(4);
/// The first beat waits so long for what earlier processes left to be known.
const STOCK_WITHIN: Duration = Duration::from_secs(20);

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

/// Signs of life until `stop`.
pub(crate) async fn run(
    log: Arc<dyn CaptureLog>,
    gateway: Arc<str>,
    spool: Arc<SpoolIndex>,
    stop: CancellationToken,
) {
    // Once one gateway is heard, those that are not count as dead.
    let _ = stop.run_until_cancelled(timeout(STOCK_WITHIN, spool.stock())).await;
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
