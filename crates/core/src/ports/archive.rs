//! The store of records.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use super::{PortResult, Sequence};
use crate::model::query::Filter;
use crate::model::{
    Exchange, ExchangeHeads, ExchangeId, ExchangeRecord, Leg, LegBody, ModelStats, Rank, Stats, Timestamp,
};

/// A record to be committed.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The record; its rank decides whether it replaces one that is there.
    pub record: ExchangeRecord,
}

/// What became of a record.
#[derive(Debug)]
pub enum Committed {
    /// It is durable now.
    Stored,
    /// One of the same or a higher rank was there already, or it was deleted by retention; nothing changed. Of two
    /// `running` records the one that holds more bytes stays: checkpoints grow.
    Superseded,
    /// It can never be stored; the reason. Its neighbours are stored.
    Refused(String),
}

/// An exchange whose `start` was seen and whose end is not archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenExchange {
    /// The exchange.
    pub id: ExchangeId,
    /// The gateway process that relays it.
    pub gateway: String,
    /// The oldest message of it that only the log holds.
    pub sequence: Sequence,
}

/// Which exchanges to list: newest first.
#[derive(Debug, Clone, Default)]
pub struct ListRequest {
    /// Conditions; all must hold.
    pub filters: Vec<Filter>,
    /// Only ids below this one: the last id of the page before.
    pub before: Option<ExchangeId>,
    /// Only ids above this one (polling for newer ones).
    pub after: Option<ExchangeId>,
    /// So many exchanges to pass over first; for numbered pages.
    pub skip: u64,
    /// At most so many.
    pub limit: usize,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// The exchanges, newest first.
    pub exchanges: Vec<Exchange>,
    /// Whether there are more behind the last.
    pub more: bool,
}

/// Which sums to make.
#[derive(Debug, Clone)]
pub struct StatsRequest {
    /// From and to; minutes are counted whole.
    pub range: Range<Timestamp>,
    /// The length of a stretch; a whole number of minutes, at least one.
    pub step: Duration,
    /// Only this model.
    pub model: Option<String>,
    /// Only this provider.
    pub provider: Option<String>,
}

/// An exchange of which the search index may not say what the archive has: it is to be indexed (again), or, where its
/// record was deleted, to be forgotten, with all that was deleted before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Names the entry when it is settled.
    pub number: u64,
    /// The exchange.
    pub id: ExchangeId,
    /// How often indexing it failed.
    pub failures: u32,
}

/// What may be deleted. Zero means: for ever, without limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Days that bodies are kept.
    pub bodies_days: u32,
    /// Days that records are kept.
    pub metadata_days: u32,
    /// Records that are kept.
    pub max_exchanges: u64,
    /// Bytes on disk that are kept.
    pub max_bytes: u64,
}

/// What a pass of retention deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    /// Records deleted.
    pub exchanges: u64,
    /// Records whose bodies were deleted.
    pub bodies: u64,
    /// Bytes given back to the disk.
    pub bytes: u64,
}

/// How far retention has come. None of it comes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Every record up to this one, itself included, is deleted.
    pub records_through: Option<ExchangeId>,
    /// Rises whenever bodies are deleted.
    pub bodies: u64,
}

/// How the archive is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArchiveHealth {
    /// Records (an estimate where counting is dear).
    pub exchanges: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Outbox entries that are not settled.
    pub outbox: u64,
    /// Outbox entries set aside because they failed alone.
    pub outbox_failed: u64,
    /// Exchanges open.
    pub open: u64,
    /// Bytes of bodies as captured, over all records; against `bytes` it tells the storage ratio.
    pub captured_bytes: u64,
}

/// The archive: system of record. Every adapter passes the contract suite in `testkit`.
#[async_trait]
pub trait Archive: Send + Sync + 'static {
    /// Stores records with their bodies, an outbox entry each where entries are [kept](Self::keep_outbox), and the sums'
    /// changes, and closes what was open of them, in one transaction; durable when it returns. Any order, any repetition
    /// gives the same result.
    async fn commit(&self, batch: Vec<Commit>) -> PortResult<Vec<Committed>>;

    /// The ranks of those that are archived, in the order asked.
    async fn ranks(&self, ids: &[ExchangeId]) -> PortResult<Vec<Option<Rank>>>;

    /// Remembers exchanges as open; one that is archived above `incomplete` is not: that one was settled, and may turn
    /// out to go on. An open one keeps the lower sequence unless `advance` says that its checkpoint now holds what came
    /// before.
    async fn open(&self, exchanges: &[OpenExchange], advance: bool) -> PortResult<()>;

    /// Forgets that these were open, though nothing of them is archived: the archive refuses them, and the log may let
    /// go of what it holds of them. Others are ignored.
    async fn abandon(&self, ids: &[ExchangeId]) -> PortResult<()>;

    /// The open exchanges, oldest first, at most `limit`, behind `after`.
    async fn open_exchanges(&self, after: Option<ExchangeId>, limit: usize) -> PortResult<Vec<OpenExchange>>;

    /// The oldest sequence that any open exchange needs.
    async fn oldest_open_sequence(&self) -> PortResult<Option<Sequence>>;

    /// One exchange's columns and heads.
    async fn get(&self, id: ExchangeId) -> PortResult<Option<(Exchange, ExchangeHeads)>>;

    /// Columns of many, in the order asked; those that are not there are left out.
    async fn get_many(&self, ids: &[ExchangeId]) -> PortResult<Vec<Exchange>>;

    /// One leg's body as stored, with its timeline, hash re-checked; `None` where that leg is not stored. A body
    /// that does not match its hash is a permanent error that says so.
    async fn body(&self, id: ExchangeId, leg: Leg) -> PortResult<Option<LegBody>>;

    /// Whole records of the first of `ids`, in the order asked: of at least one, and of as many as have up to `bytes`
    /// of bodies together; the others are to be asked for again. `None` where there is no record; a permanent error
    /// where that one can't be read. A body that can't be read is left out, and a note in the heads says why.
    async fn read_many(
        &self,
        ids: &[ExchangeId],
        bytes: u64,
    ) -> PortResult<Vec<PortResult<Option<ExchangeRecord>>>> {
        let (mut records, mut room) = (Vec::with_capacity(ids.len()), bytes);
        for id in ids {
            let (exchange, mut heads) = match self.get(*id).await {
                Ok(Some(found)) => found,
                Err(error) if error.is_transient() => return Err(error),
                other => {
                    records.push(other.map(|_| None));
                    continue;
                }
            };
            let stored: u64 = heads.legs.iter().map(|info| info.stored).sum();
            if stored > room && !records.is_empty() {
                break;
            }
            room = room.saturating_sub(stored);
            let mut bodies = Vec::with_capacity(heads.legs.len());
            for leg in heads.legs.iter().map(|info| info.leg).collect::<Vec<_>>() {
                match self.body(*id, leg).await {
                    Ok(body) => bodies.extend(body),
                    Err(error) if error.is_transient() => return Err(error),
                    Err(error) => heads.notes.push(error.to_string()),
                }
            }
            records.push(Ok(Some(ExchangeRecord { exchange, heads, bodies })));
        }
        Ok(records)
    }

    /// The ids of all that is kept, lowest first, at most `limit`, above `after`: also of those that no list shows because
    /// their id does not tell when they were made. To go on, ask again from the last one.
    async fn ids(&self, after: Option<ExchangeId>, limit: usize) -> PortResult<Vec<ExchangeId>>;

    /// Lists exchanges.
    async fn list(&self, request: ListRequest) -> PortResult<Page>;

    /// How many match, counted up to `limit`.
    async fn count(&self, filters: &[Filter], limit: u64) -> PortResult<u64>;

    /// Sums over time.
    async fn stats(&self, request: StatsRequest) -> PortResult<Stats>;

    /// Sums for each model over a time range, most calls first.
    async fn model_stats(&self, range: Range<Timestamp>) -> PortResult<Vec<ModelStats>>;

    /// Announces somebody who takes outbox entries: from now on there is one for whatever changes. An archive that others
    /// use without a search index makes none before, and none any more once nobody has claimed for long. Gives whether
    /// entries of earlier changes are missing; then [`refill_outbox`](Self::refill_outbox) makes up for them.
    async fn keep_outbox(&self) -> PortResult<bool>;

    /// Takes the next outbox entries, oldest first; each is handed to one taker until settled or released by a
    /// restart. Nobody else drops an entry that a living taker has.
    async fn claim_outbox(&self, limit: usize) -> PortResult<Vec<OutboxEntry>>;

    /// Drops entries whose documents are durable in the index.
    async fn settle_outbox(&self, numbers: &[u64]) -> PortResult<()>;

    /// Makes entries for these exchanges.
    async fn note_outbox(&self, ids: &[ExchangeId]) -> PortResult<()>;

    /// Hands entries back, to be tried again.
    async fn release_outbox(&self, numbers: &[u64]) -> PortResult<()>;

    /// Sets an entry aside with the reason why it can't be indexed.
    async fn set_aside_outbox(&self, number: u64, reason: &str) -> PortResult<()>;

    /// Makes an outbox entry for every record, newest first, to rebuild the index; gives their number.
    async fn refill_outbox(&self) -> PortResult<u64>;

    /// Deletes what is past its retention. The outbox gets an entry for each record that loses its bodies, and one for the
    /// last record that is deleted.
    async fn enforce(&self, retention: Retention, now: Timestamp) -> PortResult<Erased>;

    /// How far deleting has come.
    async fn deleted(&self) -> PortResult<Deleted>;

    /// Writes a consistent copy, readable by the same adapter, into an empty or absent directory, while running. Where
    /// the database has tools of its own for that, a permanent error names them, and nothing is written.
    async fn backup(&self, directory: &Path) -> PortResult<()>;

    /// How it is doing.
    async fn health(&self) -> PortResult<ArchiveHealth>;
}
