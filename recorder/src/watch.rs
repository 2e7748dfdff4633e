//! Audits that every start reaches the archive: those that have not after a while are remembered as open.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use verbatim_core::model::{Rank, Timestamp};
use verbatim_core::ports::{Consumer, Delivery, Liveness, OpenExchange, PortResult, PullLimit};

use crate::outage::Outage;
use crate::{Ports, RecorderConfig};

/// The shortest time between two looks at starts that are held.
const MOMENT: Duration = Duration::from_millis(100);
/// How many starts are asked for at once.
const LIMIT: PullLimit =
    PullLimit { messages: 1024, bytes: 4 * 1024 * 1024, wait: Duration::from_millis(500) };

/// A start that waits to be old enough.
struct Held {
    delivery: Delivery,
    since: Instant,
}

impl Held {
    /// By its id; by the time it waits where the clock was set back since.
    fn age(&self, now: Timestamp) -> Duration {
        now.since(self.delivery.message.exchange.time()).max(self.since.elapsed())
    }
}

/// Audits until `token` is cancelled; and once all that was read is `recorded`, what is archived by then.
pub(crate) async fn run(
    config: RecorderConfig,
    ports: Ports,
    token: CancellationToken,
    recorded: CancellationToken,
) -> PortResult<()> {
    let (mut held, mut outage): (VecDeque<Held>, _) = (VecDeque::new(), Outage::of("audit starts"));
    while !token.is_cancelled() {
        let pause = match step(&config, &ports, &mut held).await {
            Ok(pause) => {
                outage.over();
                pause
            }
            Err(error) if error.is_transient() => {
                outage.failed(&error);
                // What is held is delivered again once its acknowledgement is overdue.
                held.clear();
                Duration::from_secs(1)
            }
            Err(error) => return Err(error),
        };
        tokio::select! { () = tokio::time::sleep(pause) => {}, () = token.cancelled() => {} }
    }
    recorded.cancelled().await;
    match finish(&ports, held.into_iter().map(|held| held.delivery).collect()).await {
        Err(error) if error.is_transient() => {
            tracing::warn!(%error, "could not audit the last starts; they come again after the next start");
            Ok(())
        }
        finished => finished,
    }
}

/// Acknowledges the starts of what is archived for good, however young, so that the log need not keep it. The others
/// come again.
async fn finish(ports: &Ports, mut young: Vec<Delivery>) -> PortResult<()> {
    let limit = PullLimit { wait: Duration::ZERO, ..LIMIT };
    let last = ports.log.floors().await?.last;
    let mut seen = 0;
    loop {
        let ids: Vec<_> = young.iter().map(|delivery| delivery.message.exchange).collect();
        let ranks = ports.archive.ranks(&ids).await?;
        let archived = young.iter().zip(ranks).filter(|(_, rank)| !is_open(*rank));
        let archived: Vec<_> = archived.map(|(delivery, _)| delivery.sequence).collect();
        ports.log.acknowledge(Consumer::Watch, &archived).await?;
        if archived.len() < young.len() {
            // The log is kept from there on anyway.
            return Ok(());
        }
        seen = young.last().map_or(seen, |delivery| delivery.sequence);
        young = ports.log.next(Consumer::Watch, limit).await?;
        if young.first().is_none_or(|first| first.sequence <= seen || first.sequence > last) {
            return Ok(());
        }
    }
}

/// Whether an exchange of this rank may still go on.
fn is_open(rank: Option<Rank>) -> bool {
    rank.is_none_or(|rank| rank == Rank::Running)
}

/// Audits the starts that are due; tells how long to wait for the next ones.
async fn step(config: &RecorderConfig, ports: &Ports, held: &mut VecDeque<Held>) -> PortResult<Duration> {
    if held.is_empty() {
        let deliveries = ports.log.next(Consumer::Watch, LIMIT).await?;
        let since = Instant::now();
        held.extend(deliveries.into_iter().map(|delivery| Held { delivery, since }));
    }
    let now = ports.clock.now();
    // Behind it, ends wait for the recorder: one of them may be this start's, and what waits there keeps the log from
    // being purged anyway.
    let read_through = ports.log.floors().await?.recorder;
    let mut alive: HashMap<String, bool> = HashMap::new();
    let mut due = Vec::new();
    let mut pause = Duration::ZERO;
    while let Some(first) = held.front() {
        let age = first.age(now);
        let is_early = age < config.hold || first.delivery.sequence > read_through;
        if is_early && is_alive(ports, &mut alive, &first.delivery.message.gateway).await? {
            pause = config.hold.saturating_sub(age).max(MOMENT);
            break;
        }
        due.extend(held.pop_front().map(|first| first.delivery));
    }
    audit(ports, due).await?;
    let sequences: Vec<_> = held.iter().map(|held| held.delivery.sequence).collect();
    ports.log.progress(Consumer::Watch, &sequences).await?;
    // A gateway may die while its starts are held: look again soon.
    Ok(pause.min(Duration::from_secs(1)))
}

async fn is_alive(ports: &Ports, known: &mut HashMap<String, bool>, gateway: &str) -> PortResult<bool> {
    if let Some(alive) = known.get(gateway) {
        return Ok(*alive);
    }
    let alive = ports.log.liveness(gateway).await? != Liveness::Dead;
    known.insert(gateway.to_owned(), alive);
    Ok(alive)
}

/// Remembers as open what is not archived for good, then acknowledges.
async fn audit(ports: &Ports, due: Vec<Delivery>) -> PortResult<()> {
    if due.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = due.iter().map(|delivery| delivery.message.exchange).collect();
    let ranks = ports.archive.ranks(&ids).await?;
    let open: Vec<OpenExchange> = due
        .iter()
        .zip(ranks)
        .filter(|(_, rank)| is_open(*rank))
        .map(|(delivery, _)| OpenExchange {
            id: delivery.message.exchange,
            gateway: delivery.message.gateway.clone(),
            sequence: delivery.sequence,
        })
        .collect();
    if !open.is_empty() {
        ports.archive.open(&open, false).await?;
    }
    let sequences: Vec<_> = due.iter().map(|delivery| delivery.sequence).collect();
    ports.log.acknowledge(Consumer::Watch, &sequences).await
}
