//! From records to rows and blocks.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool_postgres::Object;
use verbatim_archive_format::bucket::Bucket;
use verbatim_archive_format::chunking::Address;
use verbatim_archive_format::encoding::Manifest;
use verbatim_archive_format::record::{PackedRecord, is_stray, unfit};
use verbatim_archive_format::stage::Place;
use verbatim_core::model::{Exchange, ExchangeId, ExchangeRecord, Timestamp};
use verbatim_core::ports::{Commit, Committed, PortResult};

use crate::Engine;
use crate::bodies::{Cut, NewBlocks, Staging, known};
use crate::day::day_of;
use crate::error::{Fault, Kind};
use crate::records::columns::Table;
use crate::records::find;
use crate::records::store::{Batch, Row, close_ended, store};
use crate::tombstone::Tombstone;

/// A record that can be stored, and its place in the batch.
struct Fit {
    place: usize,
    record: ExchangeRecord,
    table: Table,
    /// `None` where retention deleted that week's bodies already.
    bucket: Option<Bucket>,
    /// The bucket that it names in any case.
    named: Bucket,
    cut: Option<Cut>,
}

/// A batch on its way, with the answers that it has already.
struct Batching {
    outcomes: Vec<Option<Committed>>,
    fit: Vec<Fit>,
    staging: Staging,
    tombstone: Tombstone,
    /// Where those pieces of their bodies are that were stored before.
    places: HashMap<(Bucket, Address), Place>,
}

impl Batching {
    /// Takes bodies into blocks, as far as there is room; whether there is more.
    fn take(&mut self) -> bool {
        let Self { fit, staging, places, .. } = self;
        fit.iter_mut().any(|fit| match (fit.bucket, &mut fit.cut) {
            (Some(bucket), Some(cut)) => staging.take(&mut fit.record, bucket, cut, places),
            _ => false,
        })
    }
}

/// Where an exchange belongs by what its id tells now.
fn table_of(exchange: &Exchange, now: Timestamp) -> Table {
    if is_stray(exchange.id, exchange.began_at, now) { Table::Stray } else { Table::Exchange }
}

impl Engine {
    /// Stores records with their bodies and what follows from them in one transaction. Of long bodies, most blocks go
    /// before it, in slices that are all that is held of them beside the bodies themselves.
    pub(crate) async fn commit(self: &Arc<Self>, batch: Vec<Commit>) -> PortResult<Vec<Committed>> {
        let now = self.clock.now();
        let ids: Vec<(ExchangeId, Table)> =
            batch.iter().map(|commit| &commit.record.exchange).map(|of| (of.id, table_of(of, now))).collect();
        let ids = &ids;
        let kept =
            self.database.writes.run(async |client: Object| find::elsewhere(&client, ids).await).await?;
        let mut batching = self.blocking(move |engine| Ok(engine.sort_out(batch, now, &kept))).await?;
        batching.places = self.look_up(&batching).await?;
        let (batching, blocks) = self.store_most(batching).await?;
        let (mut outcomes, rows, at) = self
            .blocking(move |engine| {
                let Batching { outcomes, fit, staging, .. } = batching;
                let at: Vec<usize> = fit.iter().map(|fit| fit.place).collect();
                let rows = engine.rows(fit, &staging)?;
                Ok((outcomes, rows, at))
            })
            .await?;
        let committed = self.store(&Batch { blocks: &blocks, rows: &rows }).await?;
        for (place, committed) in at.into_iter().zip(committed) {
            count_outcome(&committed);
            outcomes[place] = Some(committed);
        }
        let missing = || Committed::Refused("the archive lost track of this record".to_owned());
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(missing)).collect())
    }

    /// Takes all bodies into blocks. Whenever so many gather that they fill a slice, it is stored: without records blocks
    /// harm nothing, and whoever tries again finds them. Gives the last slice, which goes with the records.
    async fn store_most(self: &Arc<Self>, mut batching: Batching) -> PortResult<(Batching, NewBlocks)> {
        loop {
            let (taken, is_more, count) = self
                .blocking(move |engine| {
                    let is_more = batching.take();
                    let count = batching.staging.pack(&engine.squeezers)?;
                    Ok((batching, is_more, count))
                })
                .await?;
            batching = taken;
            let numbers = self.block_numbers.take(count, &self.database.writes).await?;
            let blocks = NewBlocks::new(batching.staging.number(numbers));
            metrics::counter!("verbatim_archive_kept_bytes_total").increment(blocks.bytes() as u64);
            if !is_more {
                return Ok((batching, blocks));
            }
            self.attempt(&Batch { blocks: &blocks, rows: &[] }).await?;
        }
    }

    /// Refuses what can't be stored, and cuts the bodies of what can. Records are written in the order of their keys;
    /// each answer goes back to its place.
    ///
    /// The clock may have been set between two records of an exchange: where the first one is, the others go, too.
    fn sort_out(
        &self,
        batch: Vec<Commit>,
        now: Timestamp,
        elsewhere: &HashMap<ExchangeId, Table>,
    ) -> Batching {
        let mut outcomes: Vec<Option<Committed>> = batch.iter().map(|_| None).collect();
        let mut records: Vec<_> = batch.into_iter().map(|commit| commit.record).enumerate().collect();
        records.sort_by_key(|(_, record)| record.exchange.id);
        let (mut staging, mut fit) = (Staging::default(), Vec::with_capacity(records.len()));
        let tombstone = self.partitions.tombstone();
        for (place, record) in records {
            if let Some(why) = unfit(&record) {
                outcomes[place] = Some(Committed::Refused(why));
                continue;
            }
            let exchange = &record.exchange;
            let before = fit.last().filter(|before: &&Fit| before.record.exchange.id == exchange.id);
            let known = elsewhere.get(&exchange.id).copied().or(before.map(|before| before.table));
            let table = known.unwrap_or_else(|| table_of(exchange, now));
            if known.is_none() && table == Table::Stray {
                tracing::error!(exchange = %exchange.id, began_at = %exchange.began_at,
                    "an exchange's id does not fit its time or ours: it is kept aside, see the clocks of gateways");
                metrics::counter!("verbatim_archive_stray_total").increment(1);
            }
            // A stray id names no week that could be right.
            let time = if table == Table::Stray { now } else { exchange.id.time() };
            let bucket = self.partitions.for_bodies_of(time).filter(|_| !record.bodies.is_empty());
            let named = bucket.unwrap_or(Bucket { week: Bucket::week_of(time), part: 0 });
            let cut = bucket.map(|bucket| staging.cut(&record, bucket));
            fit.push(Fit { place, record, table, bucket, named, cut });
        }
        Batching { outcomes, fit, staging, tombstone, places: HashMap::new() }
    }

    /// Makes the partitions that are missing, and finds the pieces that are stored.
    async fn look_up(&self, batching: &Batching) -> Result<HashMap<(Bucket, Address), Place>, Fault> {
        let (mut days, mut buckets, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        for fit in &batching.fit {
            if fit.table == Table::Exchange && !batching.tombstone.covers(fit.record.exchange.id) {
                days.push(day_of(fit.record.exchange.id));
            }
            if let (Some(bucket), Some(cut)) = (fit.bucket, &fit.cut) {
                buckets.push(bucket);
                wanted.extend(cut.addresses().map(|address| (bucket, address)));
            }
        }
        days.sort_unstable();
        days.dedup();
        buckets.sort_unstable();
        buckets.dedup();
        self.partitions.make_missing(&self.database.upkeep, days, buckets).await?;
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        wanted.sort_unstable();
        wanted.dedup();
        let wanted = &wanted;
        let found = self.database.writes.run(async |client: Object| known(&client, wanted).await).await?;
        Ok(found.into_iter().map(|(bucket, address, place)| ((bucket, address), place)).collect())
    }

    fn rows(&self, fit: Vec<Fit>, staging: &Staging) -> PortResult<Vec<Row>> {
        self.squeezers.with(|squeezer| {
            let rows = fit.into_iter().map(|fit| {
                let manifests = match (fit.bucket, &fit.cut) {
                    (Some(bucket), Some(cut)) => {
                        cut.staged().map(|body| staging.manifest(bucket, body)).collect()
                    }
                    _ => vec![Manifest::Deleted; fit.record.bodies.len()],
                };
                let record = PackedRecord::new(squeezer, fit.record, fit.named, manifests)?;
                metrics::counter!("verbatim_archive_captured_bytes_total").increment(record.captured);
                Ok(Row { record, table: fit.table, has_blocks: fit.bucket.is_some() })
            });
            rows.collect()
        })
    }

    /// Writes a batch. Where a row spoils it, blocks are stored first, which harm nothing without records, then
    /// halves of the rows, down to the one that is refused alone.
    async fn store(&self, batch: &Batch<'_>) -> PortResult<Vec<Committed>> {
        match self.attempt(batch).await {
            Err(fault) if fault.kind == Kind::Row => {}
            done => return Ok(done?),
        }
        self.attempt(&Batch { blocks: batch.blocks, rows: &[] }).await?;
        let nothing = NewBlocks::default();
        let mut committed = Vec::with_capacity(batch.rows.len());
        let mut halves = vec![batch.rows];
        while let Some(rows) = halves.pop() {
            match self.attempt(&Batch { blocks: &nothing, rows }).await {
                Ok(done) => committed.extend(done),
                Err(fault) if fault.kind == Kind::Row && rows.len() > 1 => {
                    let (first, second) = rows.split_at(rows.len() / 2);
                    halves.extend([second, first]);
                }
                Err(fault) if fault.kind == Kind::Row => {
                    let id = rows.first().map(|row| row.record.exchange.id.to_string()).unwrap_or_default();
                    tracing::error!(exchange = id, why = fault.why, "a record can't be stored");
                    committed.push(Committed::Refused(fault.why));
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(committed)
    }

    /// All of it, or none.
    async fn attempt(&self, batch: &Batch<'_>) -> Result<Vec<Committed>, Fault> {
        let stored = self
            .database
            .writes
            .run(async |client: Object| {
                let stored = store(client, batch).await;
                if stored.as_ref().is_err_and(|fault| fault.kind == Kind::Stale) {
                    self.catch_up(batch).await?;
                }
                stored
            })
            .await;
        if stored.as_ref().is_err_and(|fault| fault.kind == Kind::Mendable) {
            // Mending it may have set them anew.
            self.block_numbers.forget().await;
        }
        let stored = stored?;
        // Whatever becomes of this, the records are stored; who checkpoints or settles one that stays open closes it.
        let closed = self.database.writes.run(async |client: Object| close_ended(client, batch).await).await;
        if let Err(fault) = closed {
            tracing::debug!(%fault, "exchanges may stay open for a while though they are archived");
        }
        let committed = |stored: bool| if stored { Committed::Stored } else { Committed::Superseded };
        Ok(stored.into_iter().map(committed).collect())
    }

    /// Looks at what other processes did, and makes the partitions anew that are still wanted.
    async fn catch_up(&self, batch: &Batch<'_>) -> Result<(), Fault> {
        let upkeep = &self.database.upkeep;
        upkeep.run(async |client: Object| self.partitions.look(&client).await).await?;
        let tombstone = self.partitions.tombstone();
        let ids =
            batch.rows.iter().filter(|row| row.table == Table::Exchange).map(|row| row.record.exchange.id);
        let days = ids.filter(|&id| !tombstone.covers(id)).map(day_of).collect();
        self.partitions.make_missing(upkeep, days, Vec::new()).await
    }
}

fn count_outcome(committed: &Committed) {
    let result = match committed {
        Committed::Stored => "stored",
        Committed::Superseded => "superseded",
        Committed::Refused(_) => "refused",
    };
    metrics::counter!("verbatim_archive_records_total", "result" => result).increment(1);
}
