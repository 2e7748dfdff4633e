use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use verbatim_core::model::query::Filter;
use verbatim_core::model::{
    Bucket, Exchange, ExchangeHeads, ExchangeId, ExchangeRecord, Leg, LegBody, ModelStats, Outcome, Rank,
    Stats, Timestamp, Totals,
};
use verbatim_core::ports::{
    Archive, ArchiveHealth, Commit, Committed, Deleted, Erased, ListRequest, OpenExchange, OutboxEntry, Page,
    PortError, PortResult, Retention, Sequence, StatsRequest,
};

use super::Switch;

/// An archive that forgets everything at its end.
#[derive(Default)]
pub struct MemoryArchive {
    records: Mutex<BTreeMap<ExchangeId, ExchangeRecord>>,
    pub down: Switch,
    /// Legs of this exchange can't be read.
    pub damaged: Mutex<Option<ExchangeId>>,
}

impl MemoryArchive {
    pub fn add(&self, record: ExchangeRecord) {
        self.records.lock().unwrap().insert(record.exchange.id, record);
    }

    fn all(&self, filters: &[Filter]) -> Vec<Exchange> {
        let records = self.records.lock().unwrap();
        let exchanges = records.values().rev().map(|record| record.exchange.clone());
        exchanges.filter(|exchange| filters.iter().all(|filter| filter.holds(exchange))).collect()
    }
}

fn count(totals: &mut Totals, exchange: &Exchange) {
    if exchange.outcome == Outcome::Running {
        return;
    }
    totals.calls += 1;
    totals.completed += u64::from(exchange.outcome == Outcome::Completed);
    if let Some(us) = exchange.duration_us {
        totals.duration_us += us;
        totals.durations.record(us);
    }
    if let Some(us) = exchange.first_token_us {
        totals.first_tokens.record(us);
    }
    totals.input_tokens += exchange.usage.input_tokens.unwrap_or(0);
    totals.output_tokens += exchange.usage.output_tokens.unwrap_or(0);
    totals.cache_read_tokens += exchange.usage.cache_read_tokens.unwrap_or(0);
    totals.cost_micros += exchange.cost_micros.unwrap_or(0);
    totals.lost_bytes += exchange.lost_bytes;
}

#[async_trait]
impl Archive for MemoryArchive {
    async fn commit(&self, batch: Vec<Commit>) -> PortResult<Vec<Committed>> {
        self.down.check()?;
        Ok(batch
            .into_iter()
            .map(|commit| {
                self.add(commit.record);
                Committed::Stored
            })
            .collect())
    }

    async fn ranks(&self, ids: &[ExchangeId]) -> PortResult<Vec<Option<Rank>>> {
        self.down.check()?;
        let records = self.records.lock().unwrap();
        Ok(ids.iter().map(|id| records.get(id).map(|record| record.exchange.rank())).collect())
    }

    async fn open(&self, _: &[OpenExchange], _: bool) -> PortResult<()> {
        Ok(())
    }

    async fn abandon(&self, _: &[ExchangeId]) -> PortResult<()> {
        Ok(())
    }

    async fn open_exchanges(&self, _: Option<ExchangeId>, _: usize) -> PortResult<Vec<OpenExchange>> {
        Ok(Vec::new())
    }

    async fn oldest_open_sequence(&self) -> PortResult<Option<Sequence>> {
        Ok(None)
    }

    async fn get(&self, id: ExchangeId) -> PortResult<Option<(Exchange, ExchangeHeads)>> {
        self.down.check()?;
        let records = self.records.lock().unwrap();
        Ok(records.get(&id).map(|record| (record.exchange.clone(), record.heads.clone())))
    }

    async fn get_many(&self, ids: &[ExchangeId]) -> PortResult<Vec<Exchange>> {
        self.down.check()?;
        let records = self.records.lock().unwrap();
        Ok(ids.iter().filter_map(|id| records.get(id)).map(|record| record.exchange.clone()).collect())
    }

    async fn body(&self, id: ExchangeId, leg: Leg) -> PortResult<Option<LegBody>> {
        self.down.check()?;
        if *self.damaged.lock().unwrap() == Some(id) {
            return Err(PortError::Permanent("the stored bytes do not match their hash".to_owned()));
        }
        let records = self.records.lock().unwrap();
        let bodies = records.get(&id).map(|record| record.bodies.as_slice()).unwrap_or_default();
        Ok(bodies.iter().find(|body| body.info.leg == leg).cloned())
    }

    async fn ids(&self, after: Option<ExchangeId>, limit: usize) -> PortResult<Vec<ExchangeId>> {
        self.down.check()?;
        let records = self.records.lock().unwrap();
        Ok(records.keys().copied().filter(|id| Some(*id) > after).take(limit).collect())
    }

    async fn list(&self, request: ListRequest) -> PortResult<Page> {
        self.down.check()?;
        let mut found = self.all(&request.filters);
        found.retain(|exchange| {
            request.before.is_none_or(|before| exchange.id < before)
                && request.after.is_none_or(|after| exchange.id > after)
        });
        let mut found = found.split_off(usize::try_from(request.skip).unwrap().min(found.len()));
        let more = found.len() > request.limit;
        found.truncate(request.limit);
        Ok(Page { exchanges: found, more })
    }

    async fn count(&self, filters: &[Filter], limit: u64) -> PortResult<u64> {
        self.down.check()?;
        Ok((self.all(filters).len() as u64).min(limit))
    }

    async fn stats(&self, request: StatsRequest) -> PortResult<Stats> {
        self.down.check()?;
        let mut stats = Stats::default();
        let mut from = request.range.start;
        while from < request.range.end {
            stats.buckets.push(Bucket { from, totals: Totals::default() });
            from = from.plus(request.step);
        }
        for exchange in self.all(&[]) {
            if !request.range.contains(&exchange.began_at)
                || request.model.as_deref().is_some_and(|model| exchange.model() != Some(model))
            {
                continue;
            }
            count(&mut stats.totals, &exchange);
            let bucket = exchange.began_at.since(request.range.start).as_micros() / request.step.as_micros();
            count(&mut stats.buckets[usize::try_from(bucket).unwrap()].totals, &exchange);
        }
        Ok(stats)
    }

    async fn model_stats(&self, range: Range<Timestamp>) -> PortResult<Vec<ModelStats>> {
        self.down.check()?;
        let mut models = BTreeMap::<(String, String), Totals>::new();
        for exchange in self.all(&[]).iter().filter(|exchange| range.contains(&exchange.began_at)) {
            let key = (exchange.model().unwrap_or_default().to_owned(), exchange.provider.clone());
            count(models.entry(key).or_default(), exchange);
        }
        let models =
            models.into_iter().map(|((model, provider), totals)| ModelStats { model, provider, totals });
        let mut models: Vec<_> = models.collect();
        models.sort_by_key(|model| std::cmp::Reverse(model.totals.calls));
        Ok(models)
    }

    async fn keep_outbox(&self) -> PortResult<bool> {
        Ok(false)
    }

    async fn claim_outbox(&self, _: usize) -> PortResult<Vec<OutboxEntry>> {
        Ok(Vec::new())
    }

    async fn settle_outbox(&self, _: &[u64]) -> PortResult<()> {
        Ok(())
    }

    async fn note_outbox(&self, _: &[ExchangeId]) -> PortResult<()> {
        Ok(())
    }

    async fn release_outbox(&self, _: &[u64]) -> PortResult<()> {
        Ok(())
    }

    async fn set_aside_outbox(&self, _: u64, _: &str) -> PortResult<()> {
        Ok(())
    }

    async fn refill_outbox(&self) -> PortResult<u64> {
        Ok(0)
    }

    async fn enforce(&self, _: Retention, _: Timestamp) -> PortResult<Erased> {
        Ok(Erased::default())
    }

    async fn deleted(&self) -> PortResult<Deleted> {
        Ok(Deleted::default())
    }

    async fn backup(&self, _: &Path) -> PortResult<()> {
        Ok(())
    }

    async fn health(&self) -> PortResult<ArchiveHealth> {
        self.down.check()?;
        let records = self.records.lock().unwrap();
        let captured_bytes = records
            .values()
            .map(|record| record.exchange.request_bytes + record.exchange.response_bytes)
            .sum();
        Ok(ArchiveHealth {
            exchanges: records.len() as u64,
            bytes: captured_bytes / 9,
            captured_bytes,
            ..ArchiveHealth::default()
        })
    }
}
