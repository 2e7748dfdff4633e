//! Tells the capture log that this gateway lives, so that its open calls are not settled as lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::CaptureLog;

/// Judges wait for thirty seconds of silence; several beats may be missed.
const EVERY: Duration = Duration::from_secs(5);
const AT_MOST: Duration = Duration::from_secs(4);

/// One sign of life. A log that can't take it now is no reason to stop.
pub(crate) async fn beat(log: &Arc<dyn CaptureLog>, gateway: &str) {
    match timeout(AT_MOST, log.heartbeat(gateway)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the capture log took no heartbeat"),
        Err(_) => tracing::warn!("the capture log took no heartbeat within {AT_MOST:?}"),
    }
}

/// Signs of life until `stop`.
pub(crate) async fn run(log: Arc<dyn CaptureLog>, gateway: Arc<str>, stop: CancellationToken) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => beat(&log, &gateway).await,
            () = stop.cancelled() => return,
        }
    }
}
