//! Takes ends from the log, reads what they refer to, and commits the records.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use verbatim_core::model::{Exchange, Integrity, Outcome};
use verbatim_core::ports::{
    Commit, Committed, Consumer, DeadLetter, Delivery, PortError, PortResult, PullLimit, Sequence,
};
use verbatim_proto::v1::{End, envelope::Message};
use verbatim_proto::{decode, delta_decode};

use crate::assemble::is_complete;
use crate::collect::{Collected, announced};
use crate::dead_letters::set_aside;
use crate::outage::Outage;
use crate::room::Room;
use crate::sources::{Spliced, read, splice};
use crate::{Ports, RecorderConfig, record};

/// How often an end is tried whose pieces can't all be found, before what can be saved is archived as damaged.
const TRIES: u32 = 8;
/// While recording yields to relaying, a batch is taken so often all the same.
const REST: Duration = Duration::from_secs(1);
/// A batch that takes long is told to be under way so often: several times within the shortest acknowledgement wait.
const PROGRESS: Duration = Duration::from_secs(2);
/// The longest wait between two tries while the archive is unavailable.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// An end that takes more memory is read again once there is room for it: as many of those that do as are taken at once
/// would be too much to hold.
const HELD_BYTES: usize = 64 * 1024;

/// An end that was taken from the log.
struct Taken {
    delivery: Delivery,
    /// `None`: it is large, and read again from what was delivered.
    end: Option<End>,
    /// Bytes of bodies that it stands for, and of memory that it takes itself.
    bytes: u64,
}

impl Taken {
    fn of(delivery: Delivery, end: End, memory: usize) -> Self {
        let bytes = announced(&end).saturating_add(memory as u64);
        Self { delivery, end: (memory <= HELD_BYTES).then_some(end), bytes }
    }

    /// What it says, once there is room for it.
    fn open(self) -> (End, Delivery) {
        let end = self.end.or_else(|| match decode(self.delivery.message.payload.clone()).ok()?.message {
            Message::End(end) => Some(end),
            Message::Start(_) | Message::Part(_) => None,
        });
        (end.unwrap_or_default(), self.delivery)
    }

    /// It came so often that something may be wrong with it: it is read by itself, and its neighbours are archived.
    /// It is no reason to set it aside: it comes as often while the archive is away.
    const fn is_suspect(&self) -> bool {
        self.delivery.redelivered >= TRIES
    }
}

pub(crate) async fn run(
    config: RecorderConfig,
    ports: Ports,
    room: Room,
    token: CancellationToken,
) -> PortResult<()> {
    let mut wait = Duration::ZERO;
    let mut stop_at: Option<Instant> = None;
    let mut commits: JoinSet<PortResult<()>> = JoinSet::new();
    let (mut reading, mut archiving) = (Outage::of("read the capture log"), Outage::of("archive"));
    loop {
        if token.is_cancelled() {
            let stop_at = *stop_at.get_or_insert_with(|| Instant::now() + config.drain);
            if Instant::now() >= stop_at {
                tracing::warn!("stopping with ends left in the log; they are archived after the next start");
                break;
            }
        }
        while commits.len() >= config.batches_in_flight.max(1) {
            let joined = commits.join_next().await;
            wait = after(joined, wait, &mut archiving)?;
        }
        while let Some(joined) = commits.try_join_next() {
            wait = after(Some(joined), wait, &mut archiving)?;
        }
        if !wait.is_zero() {
            tokio::select! { () = tokio::time::sleep(wait) => {}, () = token.cancelled(), if stop_at.is_none() => {} }
        }
        tokio::select! {
            _ = ports.pace.turn(REST), if stop_at.is_none() => {}
            () = token.cancelled() => {}
        }
        let limit = PullLimit {
            messages: config.batch_messages,
            // An end carries the last half megabyte of its bodies, and waits in memory for its turn.
            bytes: usize::try_from(config.batch_bytes / 4).unwrap_or(usize::MAX),
            wait: if token.is_cancelled() { Duration::ZERO } else { Duration::from_millis(500) },
        };
        let pulled = tokio::select! {
            pulled = ports.log.next(Consumer::Recorder, limit) => pulled,
            () = token.cancelled(), if stop_at.is_none() => continue,
        };
        let deliveries = match pulled {
            Ok(deliveries) => {
                reading.over();
                deliveries
            }
            Err(error) if error.is_transient() => {
                reading.failed(&error);
                wait = longer(wait);
                continue;
            }
            Err(error) => return Err(error),
        };
        if deliveries.is_empty() && token.is_cancelled() {
            // What is being committed may be handed back: only when that is done, too, the log is empty.
            let Some(joined) = commits.join_next().await else { break };
            wait = after(Some(joined), wait, &mut archiving)?;
            continue;
        }
        let places: Vec<Sequence> = deliveries.iter().map(|delivery| delivery.sequence).collect();
        let taken = match sort_out(&ports, deliveries).await {
            Ok(taken) => taken,
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "a dead letter can't be stored now; trying again");
                // Where not even that works, they come again once they are overdue.
                let _ = ports.log.hand_back(Consumer::Recorder, &places).await;
                wait = longer(wait);
                continue;
            }
            Err(error) => return Err(error),
        };
        for batch in batches(taken, config.batch_bytes) {
            let (ports, room) = (ports.clone(), room.clone());
            commits.spawn(async move { archive(&ports, &room, batch).await });
        }
    }
    while let Some(joined) = commits.join_next().await {
        after(Some(joined), Duration::ZERO, &mut archiving)?;
    }
    Ok(())
}

/// How long to wait after a batch ended so.
fn after(
    joined: Option<Result<PortResult<()>, tokio::task::JoinError>>,
    wait: Duration,
    archiving: &mut Outage,
) -> PortResult<Duration> {
    match joined {
        None => Ok(wait),
        Some(Ok(Ok(()))) => {
            archiving.over();
            Ok(Duration::ZERO)
        }
        Some(Ok(Err(error))) if error.is_transient() => {
            archiving.failed(&error);
            Ok(longer(wait))
        }
        Some(Ok(Err(error))) => Err(error),
        Some(Err(error)) => Err(PortError::permanent("archiving a batch", error)),
    }
}

fn longer(wait: Duration) -> Duration {
    (wait * 2).clamp(Duration::from_millis(50), LONGEST_WAIT)
}

/// Decodes the ends; what is none goes to the dead letters.
async fn sort_out(ports: &Ports, deliveries: Vec<Delivery>) -> PortResult<Vec<Taken>> {
    let mut taken = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        let reason = match decode(delivery.message.payload.clone()) {
            Ok(decoded) => match decoded.message {
                Message::End(end) if decoded.exchange == delivery.message.exchange => {
                    taken.push(Taken::of(delivery, end, decoded.memory));
                    continue;
                }
                Message::End(_) => "it names another exchange than its header".to_owned(),
                Message::Start(_) | Message::Part(_) => "it is no end but stands where ends do".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        bury(ports, delivery, reason).await?;
    }
    Ok(taken)
}

/// Stores a message that can't be processed, then acknowledges it.
async fn bury(ports: &Ports, delivery: Delivery, reason: String) -> PortResult<()> {
    tracing::error!(exchange = %delivery.message.exchange, sequence = delivery.sequence, reason, "dead letter");
    let sequence = delivery.sequence;
    set_aside(ports, vec![DeadLetter { sequence, message: delivery.message, reason }]).await?;
    ports.log.acknowledge(Consumer::Recorder, &[sequence]).await
}

/// Groups of ends whose bodies fit the memory for one batch; what is larger or suspect stands alone.
fn batches(taken: Vec<Taken>, most: u64) -> Vec<Vec<Taken>> {
    let mut batches: Vec<Vec<Taken>> = Vec::new();
    let mut bytes: u64 = 0;
    let mut is_closed = false;
    for one in taken {
        let fits = !is_closed && !one.is_suspect() && bytes.saturating_add(one.bytes) <= most;
        is_closed = one.is_suspect();
        bytes = if fits { bytes.saturating_add(one.bytes) } else { one.bytes };
        match batches.last_mut().filter(|_| fits) {
            Some(batch) => batch.push(one),
            None => batches.push(vec![one]),
        }
    }
    batches
}

/// Archives one batch and acknowledges its ends; on a transient error they are handed back.
async fn archive(ports: &Ports, room: &Room, batch: Vec<Taken>) -> PortResult<()> {
    let sequences: Vec<Sequence> = batch.iter().map(|taken| taken.delivery.sequence).collect();
    let mut keep_alive = tokio::time::interval(PROGRESS);
    keep_alive.tick().await;
    let bytes = batch.iter().fold(0, |bytes: u64, taken| bytes.saturating_add(taken.bytes));
    let work = room.with(bytes, try_archive(ports, batch));
    tokio::pin!(work);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            _ = keep_alive.tick() => ports.log.progress(Consumer::Recorder, &sequences).await?,
        }
    };
    if result.is_err() {
        ports.log.hand_back(Consumer::Recorder, &sequences).await?;
    }
    result
}

async fn try_archive(ports: &Ports, batch: Vec<Taken>) -> PortResult<()> {
    let collected = collect(ports, batch).await?;
    let (mut ready, mut again, mut done) = (Vec::with_capacity(collected.len()), Vec::new(), Vec::new());
    for (mut one, delivery) in collected {
        let spliced = if is_complete(&one) { Spliced::Taken } else { splice(ports, &mut one).await? };
        match spliced {
            Spliced::Final => done.push(delivery.sequence),
            Spliced::Taken if !is_complete(&one) && delivery.redelivered < TRIES => {
                again.push(delivery.sequence);
            }
            // What can't be read will never be, and what comes behind it is in the log now.
            Spliced::Taken | Spliced::Unreadable => ready.push((one, delivery)),
        }
    }
    if !done.is_empty() {
        ports.log.acknowledge(Consumer::Recorder, &done).await?;
    }
    if !again.is_empty() {
        ports.log.hand_back(Consumer::Recorder, &again).await?;
    }
    let built = tokio::task::spawn_blocking(move || {
        ready
            .into_iter()
            .map(|(one, delivery)| (record::ended(one, verbatim_dialects::skim), delivery))
            .collect::<Vec<_>>()
    });
    let built = built.await.map_err(|error| PortError::permanent("assembling a batch", error))?;
    let (mut commits, mut deliveries) = (Vec::with_capacity(built.len()), Vec::with_capacity(built.len()));
    let mut counts = Vec::with_capacity(built.len());
    for (record, delivery) in built {
        counts.push(Counted::of(&record.exchange));
        if record.exchange.integrity == Integrity::Damaged {
            let reason = record.heads.notes.join("; ");
            tracing::error!(exchange = %record.exchange.id, reason, "an exchange is damaged");
            let letter =
                DeadLetter { sequence: delivery.sequence, message: delivery.message.clone(), reason };
            set_aside(ports, vec![letter]).await?;
        }
        commits.push(Commit { record });
        deliveries.push(delivery);
    }
    if commits.is_empty() {
        return Ok(());
    }
    let outcomes = ports.archive.commit(commits).await?;
    ports.committed.notify_one();
    let mut done = Vec::with_capacity(deliveries.len());
    for ((outcome, delivery), counted) in outcomes.into_iter().zip(deliveries).zip(counts) {
        match outcome {
            Committed::Stored => {
                counted.count();
                done.push(delivery.sequence);
            }
            Committed::Superseded => done.push(delivery.sequence),
            Committed::Refused(reason) => bury(ports, delivery, reason).await?,
        }
    }
    ports.log.acknowledge(Consumer::Recorder, &done).await
}

/// What a record adds to the counters once it is stored. Bytes that were lost are counted by the gateway that lost them.
struct Counted {
    outcome: Outcome,
    integrity: Integrity,
}

impl Counted {
    const fn of(exchange: &Exchange) -> Self {
        let Exchange { outcome, integrity, .. } = *exchange;
        Self { outcome, integrity }
    }

    fn count(&self) {
        let (outcome, integrity) = (self.outcome.as_str(), self.integrity.as_str());
        metrics::counter!("verbatim_exchanges_total", "outcome" => outcome, "integrity" => integrity)
            .increment(1);
    }
}

/// Reads everything that the ends refer to: what they name themselves, then what each of their manifests does.
async fn collect(ports: &Ports, batch: Vec<Taken>) -> PortResult<Vec<(Collected, Delivery)>> {
    let mut collected: Vec<(Collected, Delivery)> = Vec::with_capacity(batch.len());
    let mut wanted: Vec<(Sequence, usize)> = Vec::new();
    let mut manifests: Vec<(Sequence, usize)> = Vec::new();
    for taken in batch {
        let index = collected.len();
        let (end, delivery) = taken.open();
        wanted.extend(places(&end.sequences).map(|sequence| (sequence, index)));
        manifests.extend(places(&end.manifests).map(|sequence| (sequence, index)));
        let mut one = Collected::new(delivery.message.exchange, delivery.message.gateway.clone());
        one.add(Message::End(end));
        collected.push((one, delivery));
    }
    read(ports, &mut collected, &wanted, |one, message, _| one.add(message)).await?;
    // One after the other: together, the places that they name may be as many as there are bytes in a batch.
    for manifest in manifests {
        wanted.clear();
        read(ports, &mut collected, &[manifest], |_, message, index| {
            if let Message::Part(part) = message {
                wanted.extend(places(&part.sequences).map(|sequence| (sequence, index)));
            }
        })
        .await?;
        read(ports, &mut collected, &wanted, |one, message, _| one.add(message)).await?;
    }
    Ok(collected)
}

/// The places that a list names, each once; none is at 0.
fn places(list: &[u64]) -> impl Iterator<Item = Sequence> + use<> {
    let mut places: Vec<Sequence> = delta_decode(list).filter(|place| *place > 0).collect();
    places.sort_unstable();
    places.dedup();
    places.into_iter()
}
