//! The role itself: passes, and waiting between them.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use verbatim_core::ports::Turn;

use crate::backoff::sleep;
use crate::pass::pass;
use crate::{IndexerConfig, IndexerError, Ports, measure};

/// While indexing yields to relaying, the outbox is worked on so often all the same.
const REST: Duration = Duration::from_secs(2);
/// How often the outbox's length is asked for.
const HEALTH_EVERY: Duration = Duration::from_secs(5);

/// Keeps the index up with the archive until `token` is cancelled; then what is being written is finished, the rest is
/// handed back.
///
/// # Errors
/// [`IndexerError::Port`] where the outbox can't be worked with and waiting does not mend it.
pub async fn run(config: IndexerConfig, ports: Ports, token: CancellationToken) -> Result<(), IndexerError> {
    let mut measured: Option<Instant> = None;
    loop {
        if measured.is_none_or(|last| last.elapsed() >= HEALTH_EVERY) {
            measured = Some(Instant::now());
            if let Ok(health) = ports.archive.health().await {
                measure::outbox(health.outbox, health.outbox_failed);
            }
        }
        let limit = tokio::select! {
            turn = ports.pace.turn(REST) => match turn {
                Turn::Free => config.claim,
                Turn::Squeezed => config.claim_squeezed,
            },
            () = token.cancelled() => return Ok(()),
        };
        let claimed = {
            let turn = tokio::select! {
                turn = ports.outbox_lock.0.lock() => turn,
                () = token.cancelled() => return Ok(()),
            };
            let claimed = pass(&config, &ports, limit, &token).await;
            drop(turn);
            match claimed {
                Err(IndexerError::Stopped) => return Ok(()),
                claimed => claimed?,
            }
        };
        if token.is_cancelled() {
            return Ok(());
        }
        if claimed >= limit {
            continue;
        }
        // Commits that come meanwhile leave their notice.
        if claimed > 0 && sleep(&token, config.gather).await.is_err() {
            return Ok(());
        }
        tokio::select! {
            () = ports.committed.notified() => {}
            () = tokio::time::sleep(config.poll) => {}
            () = token.cancelled() => return Ok(()),
        }
    }
}
