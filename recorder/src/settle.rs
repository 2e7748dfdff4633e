//! Looks after open exchanges: long ones get a checkpoint, those of a dead gateway are settled as `incomplete`.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use verbatim_core::model::{ExchangeId, Outcome, Rank};
use verbatim_core::ports::{
    Commit, Committed, DeadLetter, Liveness, OpenExchange, PortError, PortResult, Sequence,
};
use verbatim_proto::decode;

use crate::collect::Collected;
use crate::dead_letters::set_aside;
use crate::outage::Outage;
use crate::room::Room;
use crate::sources::splice;
use crate::{Ports, RecorderConfig, record};

/// Open exchanges looked at in one page.
const PAGE: usize = 1024;
/// Messages and bytes read from the log at once.
const SCAN_MESSAGES: usize = 512;
const SCAN_BYTES: usize = 8 * 1024 * 1024;
/// Of the log's room, an open exchange may keep so much from being purged before it is checkpointed for that: one part
/// in so many.
const PINNED_SHARE: u64 = 10;
/// What a log counts as taking, where only what surrounds it bounds it.
const UNBOUNDED: u64 = 4 << 30;

/// A gateway that was found dead may only have been cut off, for so long.
const MAY_LIVE: Duration = Duration::from_secs(3600);
/// Settled exchanges that are remembered of one gateway.
const REMEMBERED: usize = 10_000;

/// What was archived of an open exchange.
struct Archived {
    id: ExchangeId,
    /// Bytes behind a hole, which the record does not have.
    beyond: u64,
}

/// What is remembered between two looks; all of it can be lost.
#[derive(Default)]
struct Memory {
    /// The log's last sequence when a gateway was first found dead.
    died_at: HashMap<String, Sequence>,
    /// When an exchange was last archived as running.
    checkpoints: HashMap<ExchangeId, Instant>,
    /// Exchanges whose last checkpoint ended at a hole though they keep much from being purged.
    holes: HashSet<ExchangeId>,
    /// What was settled of gateways that may turn out to live, and when; a gateway's last first.
    settled: HashMap<String, VecDeque<(Instant, OpenExchange)>>,
}

impl Memory {
    fn settled(&mut self, gateway: &str, done: Vec<Archived>, last: Sequence) {
        let now = Instant::now();
        let settled = self.settled.entry(gateway.to_owned()).or_default();
        for Archived { id, .. } in done {
            settled.push_front((now, OpenExchange { id, gateway: gateway.to_owned(), sequence: last + 1 }));
        }
        settled.truncate(REMEMBERED);
    }

    fn forget_old(&mut self) {
        for settled in self.settled.values_mut() {
            settled.retain(|(at, _)| at.elapsed() <= MAY_LIVE);
        }
        self.settled.retain(|_, settled| !settled.is_empty());
    }
}

pub(crate) async fn run(
    config: RecorderConfig,
    ports: Ports,
    room: Room,
    token: CancellationToken,
) -> PortResult<()> {
    let (mut memory, mut outage) = (Memory::default(), Outage::of("look after open exchanges"));
    while !token.is_cancelled() {
        match look(&config, &ports, &room, &mut memory).await {
            Ok(()) => {
                outage.over();
            }
            Err(error) if error.is_transient() => {
                outage.failed(&error);
            }
            Err(error) => return Err(error),
        }
        tokio::select! { () = tokio::time::sleep(config.settle_every) => {}, () = token.cancelled() => {} }
    }
    Ok(())
}

async fn look(config: &RecorderConfig, ports: &Ports, room: &Room, memory: &mut Memory) -> PortResult<()> {
    let mut gateways: HashMap<String, Vec<OpenExchange>> = HashMap::new();
    let mut after = None;
    loop {
        let page = ports.archive.open_exchanges(after, PAGE).await?;
        after = page.last().map(|open| open.id);
        let last_page = page.len() < PAGE;
        for open in page {
            gateways.entry(open.gateway.clone()).or_default().push(open);
        }
        if last_page {
            break;
        }
    }
    let known: HashSet<ExchangeId> = gateways.values().flatten().map(|open| open.id).collect();
    memory.checkpoints.retain(|id, _| known.contains(id));
    memory.holes.retain(|id| known.contains(id));
    memory.died_at.retain(|gateway, _| gateways.contains_key(gateway));
    for (gateway, open) in gateways {
        match ports.log.liveness(&gateway).await? {
            Liveness::Dead => settle(ports, room, memory, &gateway, open).await?,
            Liveness::Alive => {
                memory.died_at.remove(&gateway);
                checkpoint(config, ports, room, memory, &gateway, open).await?;
            }
            Liveness::Unknown => {}
        }
    }
    open_again(ports, memory).await
}

/// Opens again what was settled of a gateway that lives: it was only cut off, or another process sends what its spool
/// holds. What comes of such an exchange is needed until its end has come.
async fn open_again(ports: &Ports, memory: &mut Memory) -> PortResult<()> {
    memory.forget_old();
    let gateways: Vec<String> = memory.settled.keys().cloned().collect();
    for gateway in gateways {
        if ports.log.liveness(&gateway).await? != Liveness::Alive {
            continue;
        }
        let again: Vec<OpenExchange> =
            memory.settled[&gateway].iter().map(|(_, settled)| settled.clone()).collect();
        tracing::warn!(gateway, exchanges = again.len(), "a gateway that was taken for dead lives");
        ports.archive.open(&again, false).await?;
        memory.settled.remove(&gateway);
    }
    Ok(())
}

/// Once every end that a dead gateway can have written is archived, what is still open of it has none.
async fn settle(
    ports: &Ports,
    room: &Room,
    memory: &mut Memory,
    gateway: &str,
    open: Vec<OpenExchange>,
) -> PortResult<()> {
    let floors = ports.log.floors().await?;
    let died_at = *memory.died_at.entry(gateway.to_owned()).or_insert(floors.last);
    if floors.recorder < died_at {
        return Ok(());
    }
    // One that ended meanwhile is no longer open; the archive would not let an incomplete record replace it either.
    tracing::info!(gateway, exchanges = open.len(), "settling what a dead gateway left open");
    let done = archive(ports, room, gateway, open, floors.last, Outcome::Incomplete).await?;
    memory.settled(gateway, done, floors.last);
    Ok(())
}

/// Archives what is known of exchanges that run long or keep the log from being purged.
async fn checkpoint(
    config: &RecorderConfig,
    ports: &Ports,
    room: &Room,
    memory: &mut Memory,
    gateway: &str,
    open: Vec<OpenExchange>,
) -> PortResult<()> {
    let floors = ports.log.floors().await?;
    let health = ports.log.health().await?;
    let message_bytes = (health.bytes / health.messages.max(1)).max(1);
    let pinned = health.max_bytes.unwrap_or(UNBOUNDED) / PINNED_SHARE / message_bytes;
    let now = ports.clock.now();
    let pinning: HashSet<ExchangeId> = open
        .iter()
        .filter(|open| floors.recorder.saturating_sub(open.sequence) > pinned)
        .map(|open| open.id)
        .collect();
    let due: Vec<OpenExchange> = open
        .into_iter()
        .filter(|open| {
            // Before the recorder has come by, its end may be among those that wait; and it is they that keep the log.
            let is_passed = open.sequence <= floors.recorder;
            let since = memory.checkpoints.get(&open.id).map(Instant::elapsed);
            let is_long = since.unwrap_or_else(|| now.since(open.id.time())) >= config.checkpoint_after;
            is_passed && (is_long || pinning.contains(&open.id))
        })
        .collect();
    if due.is_empty() {
        return Ok(());
    }
    let ids: Vec<ExchangeId> = due.iter().map(|open| open.id).collect();
    let ranks = ports.archive.ranks(&ids).await?;
    let is_settled = |(_, rank): &(OpenExchange, Option<Rank>)| *rank == Some(Rank::Incomplete);
    let (again, running): (Vec<_>, Vec<_>) = due.into_iter().zip(ranks).partition(is_settled);
    let running = running.into_iter().map(|(open, _)| open).collect();
    // Nothing replaces what was settled but what is settled, too. The log keeps what has come since, as long as it can.
    let again: Vec<OpenExchange> =
        again.into_iter().map(|(open, _)| open).filter(|open| pinning.contains(&open.id)).collect();
    let mut done = archive(ports, room, gateway, running, floors.last, Outcome::Running).await?;
    if !again.is_empty() {
        done.extend(archive(ports, room, gateway, again.clone(), floors.last, Outcome::Incomplete).await?);
        ports.archive.open(&again, false).await?;
    }
    memory.checkpoints.extend(done.iter().map(|done| (done.id, Instant::now())));
    // A checkpoint ends at the first hole, though what comes behind that is in the log: there it stays, unless it
    // keeps too much else from being purged, and the hole is there to stay.
    let mut advanced = Vec::with_capacity(done.len());
    for Archived { id, beyond } in done {
        let is_known = beyond > 0 && !memory.holes.insert(id);
        if beyond == 0 || (is_known && pinning.contains(&id)) {
            memory.holes.remove(&id);
            advanced.push(OpenExchange { id, gateway: gateway.to_owned(), sequence: floors.last + 1 });
        }
    }
    ports.archive.open(&advanced, true).await
}

/// Gathers these exchanges from one or more scans of their gateway's messages and archives what is known of them.
async fn archive(
    ports: &Ports,
    room: &Room,
    gateway: &str,
    open: Vec<OpenExchange>,
    last: Sequence,
    outcome: Outcome,
) -> PortResult<Vec<Archived>> {
    let mut waiting: BTreeMap<ExchangeId, Sequence> =
        open.into_iter().map(|open| (open.id, open.sequence)).collect();
    let mut done = Vec::new();
    while !waiting.is_empty() {
        // An exchange that is longer than what others leave room for is read again, without them.
        let half = room.take(room.half()).await?;
        let (_room, mut gathered) = match gather(ports, gateway, &waiting, last, room.half()).await? {
            Some(gathered) => (half, gathered),
            None => {
                drop(half);
                let first = waiting.iter().take(1).map(|(id, from)| (*id, *from)).collect();
                let all = room.take(u64::MAX).await?;
                (all, gather(ports, gateway, &first, last, u64::MAX).await?.unwrap_or_default())
            }
        };
        for one in gathered.values_mut() {
            splice(ports, one).await?;
        }
        let ids: Vec<ExchangeId> = gathered.keys().copied().collect();
        let built = tokio::task::spawn_blocking(move || {
            gathered
                .into_values()
                .map(|one| Commit { record: record::so_far(one, outcome, verbatim_dialects::skim) })
                .collect::<Vec<_>>()
        });
        let commits =
            built.await.map_err(|error| PortError::permanent("assembling open exchanges", error))?;
        let beyond = commits.iter().map(|commit| commit.record.exchange.lost_bytes).collect::<Vec<_>>();
        let outcomes = ports.archive.commit(commits).await?;
        ports.committed.notify_one();
        let mut archived = 0;
        for ((id, beyond), committed) in ids.into_iter().zip(beyond).zip(outcomes) {
            let from = waiting.remove(&id).unwrap_or(last);
            if let Committed::Refused(reason) = committed {
                bury(ports, OpenExchange { id, gateway: gateway.to_owned(), sequence: from }, last, &reason)
                    .await?;
            } else {
                archived += 1;
                done.push(Archived { id, beyond });
            }
        }
        if outcome != Outcome::Running {
            metrics::counter!("verbatim_exchanges_settled_total").increment(archived);
        }
    }
    Ok(done)
}

/// The archive will never take this exchange: what the log holds of it becomes dead letters, then nobody waits for it.
async fn bury(ports: &Ports, open: OpenExchange, last: Sequence, reason: &str) -> PortResult<()> {
    let OpenExchange { id, gateway, sequence: mut from } = open;
    let mut buried = 0;
    while from <= last {
        let page = ports.log.scan(&gateway, from, last, SCAN_MESSAGES, SCAN_BYTES).await?;
        let Some((end, _)) = page.last() else { break };
        from = end + 1;
        let letters: Vec<DeadLetter> = page
            .into_iter()
            .filter(|(_, message)| message.exchange == id)
            .map(|(sequence, message)| DeadLetter { sequence, message, reason: reason.to_owned() })
            .collect();
        buried += letters.len();
        if !letters.is_empty() {
            set_aside(ports, letters).await?;
        }
    }
    tracing::error!(exchange = %id, messages = buried, reason, "an open exchange can't be archived: dead letters");
    ports.archive.abandon(&[id]).await
}

/// One scan: as many of the waiting exchanges, in the order of their ids, as have up to `most` bytes of bodies together;
/// `None` if already the first has more.
async fn gather(
    ports: &Ports,
    gateway: &str,
    waiting: &BTreeMap<ExchangeId, Sequence>,
    last: Sequence,
    most: u64,
) -> PortResult<Option<BTreeMap<ExchangeId, Collected>>> {
    let mut gathered: BTreeMap<ExchangeId, Collected> =
        waiting.keys().map(|id| (*id, Collected::new(*id, gateway))).collect();
    let mut bytes = 0;
    let mut from = waiting.values().copied().min().unwrap_or(1);
    while from <= last {
        let page = ports.log.scan(gateway, from, last, SCAN_MESSAGES, SCAN_BYTES).await?;
        let Some((end, _)) = page.last() else { break };
        from = end + 1;
        for (sequence, message) in page {
            let Some(one) = gathered.get_mut(&message.exchange) else { continue };
            match decode(message.payload) {
                Ok(decoded) => {
                    let before = one.bytes();
                    one.add(decoded.message);
                    bytes += one.bytes() - before;
                }
                Err(error) => one.note(format!("message {sequence} of it can't be read: {error}")),
            }
        }
        while bytes > most {
            if gathered.len() <= 1 {
                return Ok(None);
            }
            bytes -= gathered.pop_last().map_or(0, |(_, one)| one.bytes());
        }
    }
    Ok(Some(gathered))
}
