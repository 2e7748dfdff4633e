//! An archive that fails when a test says so.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use verbatim_core::model::query::Filter;
use verbatim_core::model::{
    Exchange, ExchangeHeads, ExchangeId, Leg, LegBody, ModelStats, Rank, Stats, Timestamp,
};
use verbatim_core::ports::{
    Archive, ArchiveHealth, Commit, Committed, Deleted, Erased, ListRequest, OpenExchange, OutboxEntry, Page,
    PortError, PortResult, Retention, Sequence, StatsRequest,
};

use crate::held::Held;

/// Another archive, with faults.
pub struct FaultyArchive {
    inner: Arc<dyn Archive>,
    faults: Mutex<Faults>,
    committing: Arc<Held>,
}

#[derive(Default)]
struct Faults {
    failing_commits: u32,
    refused: HashSet<ExchangeId>,
    damaged_records: HashSet<ExchangeId>,
    damaged_bodies: HashSet<(ExchangeId, Leg)>,
}

impl FaultyArchive {
    /// An archive without faults, so far.
    pub fn new(inner: Arc<dyn Archive>) -> Self {
        Self { inner, faults: Mutex::default(), committing: Arc::default() }
    }

    /// The next so many commits store nothing and fail with [`PortError::Transient`].
    pub fn fail_commits(&self, calls: u32) {
        self.faults().failing_commits = calls;
    }

    /// The most bytes of bodies that were being committed at once.
    pub fn most_committing(&self) -> u64 {
        self.committing.most()
    }

    /// From now on records of this exchange are refused for good.
    pub fn refuse(&self, id: ExchangeId) {
        self.faults().refused.insert(id);
    }

    /// From now on the record of this exchange can't be read: [`PortError::Permanent`].
    pub fn damage_record(&self, id: ExchangeId) {
        self.faults().damaged_records.insert(id);
    }

    /// From now on this body can't be read: [`PortError::Permanent`].
    pub fn damage_body(&self, id: ExchangeId, leg: Leg) {
        self.faults().damaged_bodies.insert((id, leg));
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readable(&self, id: ExchangeId, leg: Option<Leg>) -> PortResult<()> {
        let faults = self.faults();
        let body = leg.filter(|&leg| faults.damaged_bodies.contains(&(id, leg)));
        if faults.damaged_records.contains(&id) || body.is_some() {
            return Err(PortError::permanent(format_args!("exchange {id} is damaged"), asked_for()));
        }
        Ok(())
    }
}

fn asked_for() -> &'static str {
    "a fault that the test asked for"
}

#[async_trait]
impl Archive for FaultyArchive {
    async fn commit(&self, batch: Vec<Commit>) -> PortResult<Vec<Committed>> {
        let refused: Vec<bool> = {
            let mut faults = self.faults();
            if faults.failing_commits > 0 {
                faults.failing_commits -= 1;
                return Err(PortError::transient("commit", asked_for()));
            }
            batch.iter().map(|commit| faults.refused.contains(&commit.record.exchange.id)).collect()
        };
        let bodies = batch.iter().flat_map(|commit| &commit.record.bodies);
        let _committing = self.committing.hold(bodies.map(|body| body.bytes.len() as u64).sum());
        let taken = batch.into_iter().zip(&refused).filter(|(_, refused)| !**refused);
        let mut stored = self.inner.commit(taken.map(|(commit, _)| commit).collect()).await?.into_iter();
        let outcome = |refused| if refused { None } else { stored.next() };
        let outcomes = refused.into_iter().map(outcome);
        Ok(outcomes
            .map(|stored| stored.unwrap_or_else(|| Committed::Refused(asked_for().to_owned())))
            .collect())
    }

    async fn get(&self, id: ExchangeId) -> PortResult<Option<(Exchange, ExchangeHeads)>> {
        self.readable(id, None)?;
        self.inner.get(id).await
    }

    async fn body(&self, id: ExchangeId, leg: Leg) -> PortResult<Option<LegBody>> {
        self.readable(id, Some(leg))?;
        self.inner.body(id, leg).await
    }

    async fn ranks(&self, ids: &[ExchangeId]) -> PortResult<Vec<Option<Rank>>> {
        self.inner.ranks(ids).await
    }

    async fn open(&self, exchanges: &[OpenExchange], advance: bool) -> PortResult<()> {
        self.inner.open(exchanges, advance).await
    }

    async fn abandon(&self, ids: &[ExchangeId]) -> PortResult<()> {
        self.inner.abandon(ids).await
    }

    async fn open_exchanges(&self, after: Option<ExchangeId>, limit: usize) -> PortResult<Vec<OpenExchange>> {
        self.inner.open_exchanges(after, limit).await
    }

    async fn oldest_open_sequence(&self) -> PortResult<Option<Sequence>> {
        self.inner.oldest_open_sequence().await
    }

    async fn get_many(&self, ids: &[ExchangeId]) -> PortResult<Vec<Exchange>> {
        self.inner.get_many(ids).await
    }

    async fn ids(&self, after: Option<ExchangeId>, limit: usize) -> PortResult<Vec<ExchangeId>> {
        self.inner.ids(after, limit).await
    }

    async fn list(&self, request: ListRequest) -> PortResult<Page> {
        self.inner.list(request).await
    }

    async fn count(&self, filters: &[Filter], limit: u64) -> PortResult<u64> {
        self.inner.count(filters, limit).await
    }

    async fn stats(&self, request: StatsRequest) -> PortResult<Stats> {
        self.inner.stats(request).await
    }

    async fn model_stats(&self, range: Range<Timestamp>) -> PortResult<Vec<ModelStats>> {
        self.inner.model_stats(range).await
    }

    async fn keep_outbox(&self) -> PortResult<bool> {
        self.inner.keep_outbox().await
    }

    async fn claim_outbox(&self, limit: usize) -> PortResult<Vec<OutboxEntry>> {
        self.inner.claim_outbox(limit).await
    }

    async fn settle_outbox(&self, numbers: &[u64]) -> PortResult<()> {
        self.inner.settle_outbox(numbers).await
    }

    async fn note_outbox(&self, ids: &[ExchangeId]) -> PortResult<()> {
        self.inner.note_outbox(ids).await
    }

    async fn release_outbox(&self, numbers: &[u64]) -> PortResult<()> {
        self.inner.release_outbox(numbers).await
    }

    async fn set_aside_outbox(&self, number: u64, reason: &str) -> PortResult<()> {
        self.inner.set_aside_outbox(number, reason).await
    }

    async fn refill_outbox(&self) -> PortResult<u64> {
        self.inner.refill_outbox().await
    }

    async fn enforce(&self, retention: Retention, now: Timestamp) -> PortResult<Erased> {
        self.inner.enforce(retention, now).await
    }

    async fn deleted(&self) -> PortResult<Deleted> {
        self.inner.deleted().await
    }

    async fn backup(&self, directory: &Path) -> PortResult<()> {
        self.inner.backup(directory).await
    }

    async fn health(&self) -> PortResult<ArchiveHealth> {
        self.inner.health().await
    }
}
