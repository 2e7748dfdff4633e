//! Lets the log go of what nobody needs any more.

use std::collections::VecDeque;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use verbatim_core::model::Timestamp;
use verbatim_core::ports::{Floors, PortResult, Sequence};

use crate::lag::{Lag, Waiting};
use crate::outage::Outage;
use crate::{Ports, RecorderConfig};

/// What was read is kept only while less than this part of the log's room is used.
const KEPT_SHARE: u64 = 4;

pub(crate) async fn run(config: RecorderConfig, ports: Ports, token: CancellationToken) -> PortResult<()> {
    let mut outage = Outage::of("purge the capture log");
    let (mut lag, mut kept) = (Lag::default(), Kept::default());
    while !token.is_cancelled() {
        match look_and_purge(&config, &ports, &mut lag, &mut kept).await {
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

/// Tells how old the oldest is that is not archived, while that can be told, and purges.
async fn look_and_purge(
    config: &RecorderConfig,
    ports: &Ports,
    lag: &mut Lag,
    kept: &mut Kept,
) -> PortResult<()> {
    let floors = ports.log.floors().await?;
    let waits_since = oldest_pending(ports, lag, floors).await?;
    // The moment, not the age: it stays true when nobody can look any more.
    metrics::gauge!("verbatim_oldest_pending_end_timestamp_seconds").set(seconds(waits_since));
    let oldest = ports.archive.open_exchanges(None, 1).await?;
    let began = oldest.first().map(|open| open.id.time());
    metrics::gauge!("verbatim_oldest_open_start_timestamp_seconds").set(seconds(began));
    purge(config, ports, kept).await
}

/// Since when the oldest end waits that is not archived.
async fn oldest_pending(ports: &Ports, lag: &mut Lag, floors: Floors) -> PortResult<Option<Timestamp>> {
    let now = ports.clock.now();
    Ok(match lag.look(floors, now) {
        Waiting::Nothing => None,
        Waiting::Since(moment) => Some(moment),
        Waiting::Unknown => {
            // What stands there is as old as its exchange at most.
            let found = ports.log.read(&[floors.recorder.saturating_add(1)]).await?;
            let found = found.into_iter().flatten().next();
            let moment = found.map_or(now, |message| message.exchange.time().min(now));
            lag.came_after(moment);
            Some(moment)
        }
    })
}

/// A moment as Prometheus has it; 0 for none.
fn seconds(moment: Option<Timestamp>) -> f64 {
    moment.map_or(0.0, |moment| moment.as_unix_us() as f64 / 1e6)
}

/// Purges once all others have stopped: what was acknowledged meanwhile need not be read again; where that can't be
/// noted now, it is. What is to be kept for a while is left to the next recorder.
pub(crate) async fn finish(config: &RecorderConfig, ports: &Ports) -> PortResult<()> {
    match purge(config, ports, &mut Kept::default()).await {
        Err(error) if error.is_transient() => {
            tracing::warn!(%error, "could not purge the capture log in the end");
            Ok(())
        }
        purged => purged,
    }
}

/// What could have been purged already.
#[derive(Default)]
struct Kept {
    /// The floors that were found, and when, oldest first.
    floors: VecDeque<(Instant, Sequence)>,
    /// The highest of those that are old enough.
    passed: Sequence,
}

impl Kept {
    /// The floor that was found so long ago.
    fn floor(&mut self, floor: Sequence, config: &RecorderConfig) -> Sequence {
        let now = Instant::now();
        self.floors.push_back((now, floor));
        while let Some((found, old)) = self.floors.front()
            && now.duration_since(*found) >= config.keep_read
        {
            self.passed = self.passed.max(*old);
            self.floors.pop_front();
        }
        // An exchange that was opened meanwhile may need what stands before that.
        self.passed.min(floor)
    }
}

/// Purges below the first message that some reader may still need: an unread end or start, or the oldest piece of
/// an exchange that is open. The open ones are asked for last: a start is remembered as open before it is
/// acknowledged, so that none slips between the two.
async fn purge(config: &RecorderConfig, ports: &Ports, kept: &mut Kept) -> PortResult<()> {
    let floors = ports.log.floors().await?;
    let mut floor = floors.recorder.min(floors.watch) + 1;
    if let Some(oldest) = ports.archive.oldest_open_sequence().await? {
        floor = floor.min(oldest);
    }
    let health = ports.log.health().await?;
    metrics::gauge!("verbatim_log_bytes").set(health.bytes as f64);
    // Zero: nothing but its surroundings bounds it.
    metrics::gauge!("verbatim_log_max_bytes").set(health.max_bytes.unwrap_or(0) as f64);
    metrics::gauge!("verbatim_log_ends_pending").set(health.ends_pending as f64);
    metrics::gauge!("verbatim_log_dead_letters").set(health.dead_letters as f64);
    let old = kept.floor(floor, config);
    let has_room = health.max_bytes.is_none_or(|most| health.bytes < most / KEPT_SHARE);
    ports.log.purge(if has_room { old } else { floor }).await
}
