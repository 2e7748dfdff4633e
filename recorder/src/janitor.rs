//! Lets the log go of what nobody needs any more.

use tokio_util::sync::CancellationToken;
use verbatim_core::ports::PortResult;

use crate::outage::Outage;
use crate::{Ports, RecorderConfig};

pub(crate) async fn run(config: RecorderConfig, ports: Ports, token: CancellationToken) -> PortResult<()> {
    let mut outage = Outage::of("purge the capture log");
    while !token.is_cancelled() {
        match purge(&ports).await {
            Ok(()) => {
                outage.over();
            }
            Err(error) if error.is_transient() => {
                outage.failed(&error);
            }
            Err(error) => return Err(error),
        }
        tokio::select! { () = tokio::time::sleep(config.purge_every) => {}, () = token.cancelled() => {} }
    }
    Ok(())
}

/// Purges once all others have stopped: what was acknowledged meanwhile need not be read again; where that can't be
/// noted now, it is.
pub(crate) async fn finish(ports: &Ports) -> PortResult<()> {
    match purge(ports).await {
        Err(error) if error.is_transient() => {
            tracing::warn!(%error, "could not purge the capture log in the end");
            Ok(())
        }
        purged => purged,
    }
}

/// Purges below the first message that some reader may still need: an unread end or start, or the oldest piece of
/// an exchange that is open. The open ones are asked for last: a start is remembered as open before it is
/// acknowledged, so that none slips between the two.
async fn purge(ports: &Ports) -> PortResult<()> {
    let floors = ports.log.floors().await?;
    let mut floor = floors.recorder.min(floors.watch) + 1;
    if let Some(oldest) = ports.archive.oldest_open_sequence().await? {
        floor = floor.min(oldest);
    }
    let health = ports.log.health().await?;
    metrics::gauge!("verbatim_log_bytes").set(health.bytes as f64);
    metrics::gauge!("verbatim_log_ends_pending").set(health.ends_pending as f64);
    metrics::gauge!("verbatim_log_dead_letters").set(health.dead_letters as f64);
    ports.log.purge(floor).await
}
