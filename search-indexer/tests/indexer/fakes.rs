//! An archive and an index in memory that fail on command.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use tokio::sync::Notify;
use verbatim_core::model::query::Filter;
use verbatim_core::model::{
    Exchange, ExchangeHeads, ExchangeId, ExchangeRecord, Leg, LegBody, ModelStats, Rank, SearchDocument,
    Stats, Timestamp,
};
use verbatim_core::ports::{
    Archive, ArchiveHealth, Commit, Committed, Deleted, Erased, IndexHealth, ListRequest, OpenExchange,
    OutboxEntry, Page, PortError, PortResult, Retention, SearchIndex, SearchPage, SearchRequest, Sequence,
    StatsRequest, WriteOutcome,
};

/// Records and an outbox.
#[derive(Default)]
pub(crate) struct MemoryArchive {
    state: Mutex<ArchiveState>,
}

#[derive(Default)]
pub(crate) struct ArchiveState {
    pub(crate) records: BTreeMap<ExchangeId, ExchangeRecord>,
    pub(crate) outbox: BTreeMap<u64, ExchangeId>,
    pub(crate) claimed: BTreeSet<u64>,
    pub(crate) set_aside: BTreeMap<ExchangeId, String>,
    /// So many calls fail in a way that may pass.
    pub(crate) failing: usize,
    /// The bodies of these can't be read.
    pub(crate) unreadable: BTreeSet<ExchangeId>,
    pub(crate) deleted: Deleted,
    next: u64,
}

impl MemoryArchive {
    pub(crate) fn state(&self) -> MutexGuard<'_, ArchiveState> {
        self.state.lock().expect("no test panics with it")
    }

    /// Stores a record, with an outbox entry.
    pub(crate) fn add(&self, record: ExchangeRecord) {
        let mut state = self.state();
        let id = record.exchange.id;
        state.records.insert(id, record);
        state.ask_for(id);
    }

    fn working(&self) -> PortResult<MutexGuard<'_, ArchiveState>> {
        let mut state = self.state();
        if state.failing > 0 {
            state.failing -= 1;
            return Err(PortError::Transient("the archive is away".to_owned()));
        }
        Ok(state)
    }
}

impl ArchiveState {
    pub(crate) fn ask_for(&mut self, id: ExchangeId) {
        self.next += 1;
        self.outbox.insert(self.next, id);
    }
}

fn not_asked<T>() -> PortResult<T> {
    Err(PortError::Permanent("an indexer has no business here".to_owned()))
}

#[async_trait]
impl Archive for MemoryArchive {
    async fn get(&self, id: ExchangeId) -> PortResult<Option<(Exchange, ExchangeHeads)>> {
        let state = self.working()?;
        Ok(state.records.get(&id).map(|record| (record.exchange.clone(), record.heads.clone())))
    }

    async fn body(&self, id: ExchangeId, leg: Leg) -> PortResult<Option<LegBody>> {
        let state = self.working()?;
        if state.unreadable.contains(&id) {
            return Err(PortError::Permanent("the body does not match its hash".to_owned()));
        }
        Ok(state
            .records
            .get(&id)
            .and_then(|record| record.bodies.iter().find(|body| body.info.leg == leg).cloned()))
    }

    async fn ranks(&self, ids: &[ExchangeId]) -> PortResult<Vec<Option<Rank>>> {
        let state = self.working()?;
        Ok(ids.iter().map(|id| state.records.get(id).map(|record| record.exchange.rank())).collect())
    }

    async fn deleted(&self) -> PortResult<Deleted> {
        Ok(self.working()?.deleted)
    }

    async fn note_outbox(&self, ids: &[ExchangeId]) -> PortResult<()> {
        let mut state = self.working()?;
        ids.iter().for_each(|id| state.ask_for(*id));
        Ok(())
    }

    async fn claim_outbox(&self, limit: usize) -> PortResult<Vec<OutboxEntry>> {
        let mut state = self.working()?;
        let free = state.outbox.iter().filter(|(number, _)| !state.claimed.contains(number)).take(limit);
        let entries: Vec<_> = free.map(|(&number, &id)| OutboxEntry { number, id, failures: 0 }).collect();
        state.claimed.extend(entries.iter().map(|entry| entry.number));
        Ok(entries)
    }

    async fn settle_outbox(&self, numbers: &[u64]) -> PortResult<()> {
        let mut state = self.working()?;
        for number in numbers {
            state.outbox.remove(number);
        }
        Ok(())
    }

    async fn release_outbox(&self, numbers: &[u64]) -> PortResult<()> {
        let mut state = self.working()?;
        for number in numbers {
            state.claimed.remove(number);
        }
        Ok(())
    }

    async fn set_aside_outbox(&self, number: u64, reason: &str) -> PortResult<()> {
        let mut state = self.working()?;
        if let Some(id) = state.outbox.remove(&number) {
            state.set_aside.insert(id, reason.to_owned());
        }
        Ok(())
    }

    async fn refill_outbox(&self) -> PortResult<u64> {
        let mut state = self.working()?;
        let ids: Vec<_> = state.records.keys().rev().copied().collect();
        for id in &ids {
            state.ask_for(*id);
        }
        Ok(ids.len() as u64)
    }

    async fn health(&self) -> PortResult<ArchiveHealth> {
        Ok(ArchiveHealth { outbox: self.state().outbox.len() as u64, ..ArchiveHealth::default() })
    }

    async fn keep_outbox(&self) -> PortResult<bool> {
        not_asked()
    }

    async fn commit(&self, _: Vec<Commit>) -> PortResult<Vec<Committed>> {
        not_asked()
    }

    async fn open(&self, _: &[OpenExchange], _: bool) -> PortResult<()> {
        not_asked()
    }

    async fn abandon(&self, _: &[ExchangeId]) -> PortResult<()> {
        not_asked()
    }

    async fn open_exchanges(&self, _: Option<ExchangeId>, _: usize) -> PortResult<Vec<OpenExchange>> {
        not_asked()
    }

    async fn oldest_open_sequence(&self) -> PortResult<Option<Sequence>> {
        not_asked()
    }

    async fn get_many(&self, _: &[ExchangeId]) -> PortResult<Vec<Exchange>> {
        not_asked()
    }

    async fn ids(&self, _: Option<ExchangeId>, _: usize) -> PortResult<Vec<ExchangeId>> {
        not_asked()
    }

    async fn list(&self, _: ListRequest) -> PortResult<Page> {
        not_asked()
    }

    async fn count(&self, _: &[Filter], _: u64) -> PortResult<u64> {
        not_asked()
    }

    async fn stats(&self, _: StatsRequest) -> PortResult<Stats> {
        not_asked()
    }

    async fn model_stats(&self, _: Range<Timestamp>) -> PortResult<Vec<ModelStats>> {
        not_asked()
    }

    async fn enforce(&self, _: Retention, _: Timestamp) -> PortResult<Erased> {
        not_asked()
    }

    async fn backup(&self, _: &Path) -> PortResult<()> {
        not_asked()
    }
}

/// Documents by id.
#[derive(Default)]
pub(crate) struct MemoryIndex {
    state: Mutex<IndexState>,
    /// Told of every call of `write`.
    pub(crate) written: Arc<Notify>,
}

#[derive(Default)]
pub(crate) struct IndexState {
    pub(crate) documents: BTreeMap<ExchangeId, SearchDocument>,
    pub(crate) next: Option<BTreeMap<ExchangeId, SearchDocument>>,
    /// How many documents each write had.
    pub(crate) writes: Vec<usize>,
    /// So many writes fail in a way that may pass.
    pub(crate) failing: usize,
    /// Refuses these, by what was asked.
    pub(crate) refuses: BTreeSet<String>,
    /// Done once the next write is durable, before its caller knows.
    pub(crate) meanwhile: Option<Box<dyn FnOnce() + Send>>,
    /// Refuses every batch that has one of these.
    pub(crate) chokes_on: BTreeSet<String>,
}

impl MemoryIndex {
    pub(crate) fn state(&self) -> MutexGuard<'_, IndexState> {
        self.state.lock().expect("no test panics with it")
    }
}

#[async_trait]
impl SearchIndex for MemoryIndex {
    async fn write(&self, documents: Vec<SearchDocument>) -> PortResult<Vec<WriteOutcome>> {
        let mut state = self.state();
        state.writes.push(documents.len());
        self.written.notify_one();
        if state.failing > 0 {
            state.failing -= 1;
            return Err(PortError::Transient("the index is away".to_owned()));
        }
        if documents.iter().any(|document| state.chokes_on.contains(&document.asked)) {
            return Err(PortError::Permanent("the index chokes".to_owned()));
        }
        let write = |document: SearchDocument| {
            if state.refuses.contains(&document.asked) {
                return WriteOutcome::Refused("the index does not like it".to_owned());
            }
            if let Some(next) = &mut state.next {
                next.insert(document.id(), document.clone());
            }
            state.documents.insert(document.id(), document);
            WriteOutcome::Indexed
        };
        let outcomes = documents.into_iter().map(write).collect();
        if let Some(meanwhile) = state.meanwhile.take() {
            meanwhile();
        }
        Ok(outcomes)
    }

    async fn forget(&self, up_to: ExchangeId) -> PortResult<()> {
        let mut state = self.state();
        if state.failing > 0 {
            state.failing -= 1;
            return Err(PortError::Transient("the index is away".to_owned()));
        }
        state.documents.retain(|id, _| *id > up_to);
        Ok(())
    }

    async fn search(&self, _: SearchRequest) -> PortResult<SearchPage> {
        not_asked()
    }

    async fn begin_rebuild(&self) -> PortResult<()> {
        self.state().next = Some(BTreeMap::new());
        Ok(())
    }

    async fn finish_rebuild(&self) -> PortResult<()> {
        let mut state = self.state();
        let next = state.next.take();
        state.documents = next.ok_or_else(|| PortError::Permanent("no rebuild is under way".to_owned()))?;
        Ok(())
    }

    async fn health(&self) -> PortResult<IndexHealth> {
        not_asked()
    }
}
