//! The role itself: passes, and waiting between them.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::{PortError, Turn};

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
    // One that fails ends the others in order.
    let token = token.child_token();
    let mut workers = JoinSet::new();
    for _ in 0..config.workers.max(1) {
        workers.spawn(work(config.clone(), ports.clone(), token.clone()));
    }
    workers.spawn(watch(ports, token.clone()));
    let mut ended = Ok(());
    while let Some(joined) = workers.join_next().await {
        let broken = |error| PortError::permanent("indexing was broken off", error).into();
        let one = joined.map_err(broken).and_then(|one| one);
        if one.is_err() {
            token.cancel();
        }
        ended = ended.and(one);
    }
    ended
}

/// Tells how long the outbox is.
async fn watch(ports: Ports, token: CancellationToken) -> Result<(), IndexerError> {
    let mut every = tokio::time::interval(HEALTH_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while token.run_until_cancelled(every.tick()).await.is_some() {
        if let Some(Ok(health)) = token.run_until_cancelled(ports.archive.health()).await {
            measure::outbox(health.outbox, health.outbox_failed);
        }
    }
    Ok(())
}

async fn work(config: IndexerConfig, ports: Ports, token: CancellationToken) -> Result<(), IndexerError> {
    loop {
        let limit = tokio::select! {
            turn = ports.pace.turn(REST) => match turn {
                Turn::Free => config.claim,
                Turn::Squeezed => config.claim_squeezed,
            },
            () = token.cancelled() => return Ok(()),
        };
        let claimed = {
            let turn = tokio::select! {
                turn = ports.outbox_lock.0.read() => turn,
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
