//! What an earlier process left in the spool.

use std::collections::{BTreeSet, HashMap};

use verbatim_core::model::{ExchangeId, Outcome};
use verbatim_core::ports::{CaptureLog, Message, MessageKind, PortResult, Sequence};
use verbatim_proto::v1::End;
use verbatim_proto::v1::envelope::Message as Body;
use verbatim_proto::{decode, delta_decode, delta_encode, encode};

use super::{PROGRESS, RETURNED, SPOOLED, SpoolIndex};

const SCAN_MESSAGES: usize = 1000;
const SCAN_BYTES: usize = 4 << 20;

/// How far the replay of an exchange had come: how many of its messages were dealt with, and where those stand that
/// the log holds by now, sent by the replay or before.
#[derive(Debug, Default, Clone)]
pub(super) struct Progress {
    pub(super) done: usize,
    pub(super) stand: Vec<Sequence>,
}

/// The processes that wrote of an exchange: to the spool, and maybe to the log before or after.
type Writers = HashMap<ExchangeId, BTreeSet<String>>;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// Exchanges whose replay had begun.
    pub(super) progress: HashMap<ExchangeId, Progress>,
    /// Exchanges that are to be replayed.
    pub(super) spooled: u64,
    /// Those of them that have no end: their process is gone, and what they say of themselves ends there.
    pub(super) open: HashMap<ExchangeId, Vec<Sequence>>,
}

/// Takes stock of a spool.
pub(super) async fn take_stock(
    spool: &dyn CaptureLog,
    index: &SpoolIndex,
    gateway: &str,
) -> PortResult<Leftovers> {
    let floors = spool.floors().await?;
    let returned = returned(spool, floors.last).await?;
    let mut found = Leftovers::default();
    let mut writers: Writers = HashMap::new();
    let mut from = 1;
    loop {
        let batch = spool.scan(SPOOLED, from, floors.last, SCAN_MESSAGES, SCAN_BYTES).await?;
        let Some((last, _)) = batch.last() else { break };
        from = last + 1;
        index.stock_goes_on();
        for (sequence, message) in batch {
            let id = message.exchange;
            if message.kind != MessageKind::End && returned.get(&id).is_some_and(|at| sequence < *at) {
                continue;
            }
            let writer = decode(message.payload).map(|decoded| decoded.gateway).ok();
            let writer = writer.filter(|writer| writer != gateway);
            let is_earlier = writer.is_some();
            writers.entry(id).or_default().extend(writer);
            if message.kind == MessageKind::End {
                let pieces = found.open.remove(&id).unwrap_or_default();
                // One that was replayed may wait to be purged.
                if sequence > floors.recorder {
                    index.found(id, pieces.first().copied().unwrap_or(sequence));
                    index.ended(id);
                    found.spooled += 1;
                }
            } else if is_earlier {
                found.open.entry(id).or_default().push(sequence);
            }
        }
    }
    found.progress = progress(spool, floors.last, &mut writers).await?;
    for (id, pieces) in &found.open {
        index.found(*id, pieces.first().copied().unwrap_or(floors.last));
        found.spooled += 1;
    }
    for (id, writers) in writers {
        index.written_by(id, writers);
    }
    Ok(found)
}

/// Which exchanges were taken to the log, and up to where the spool is not needed for them.
async fn returned(spool: &dyn CaptureLog, last: Sequence) -> PortResult<HashMap<ExchangeId, Sequence>> {
    let mut found = HashMap::new();
    let mut from = 1;
    loop {
        let batch = spool.scan(RETURNED, from, last, SCAN_MESSAGES, SCAN_BYTES).await?;
        let Some((sequence, _)) = batch.last() else { return Ok(found) };
        from = sequence + 1;
        found.extend(batch.into_iter().map(|(sequence, message)| (message.exchange, sequence)));
    }
}

/// Writes the end that an exchange's own process could not write.
pub(super) async fn end(
    spool: &dyn CaptureLog,
    gateway: &str,
    id: ExchangeId,
    pieces: &[Sequence],
) -> PortResult<()> {
    let end = End {
        outcome: u32::from(Outcome::Incomplete.number()),
        error: Some("the gateway stopped before the call was over".to_owned()),
        sequences: delta_encode(pieces.iter().copied()),
        ..Default::default()
    };
    let payload = encode(id, gateway, Body::End(end));
    let message = Message { kind: MessageKind::End, gateway: SPOOLED.to_owned(), exchange: id, payload };
    for result in spool.append(vec![message]).await {
        result?;
    }
    Ok(())
}

async fn progress(
    spool: &dyn CaptureLog,
    last: Sequence,
    writers: &mut Writers,
) -> PortResult<HashMap<ExchangeId, Progress>> {
    let mut found: HashMap<ExchangeId, Progress> = HashMap::new();
    let mut from = 1;
    loop {
        let batch = spool.scan(PROGRESS, from, last, SCAN_MESSAGES, SCAN_BYTES).await?;
        let Some((sequence, _)) = batch.last() else { return Ok(found) };
        from = sequence + 1;
        for (_, message) in batch {
            let Ok(decoded) = decode(message.payload) else { continue };
            writers.entry(message.exchange).or_default().insert(decoded.gateway);
            if let Body::Part(part) = decoded.message {
                let mut saved = delta_decode(&part.sequences);
                let progress = found.entry(message.exchange).or_default();
                progress.done = usize::try_from(saved.next().unwrap_or(0)).unwrap_or(0);
                progress.stand.extend(saved);
            }
        }
    }
}
