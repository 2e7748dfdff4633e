//! From records to rows and blocks.

use std::sync::Arc;

use verbatim_archive_format::bucket::Bucket;
use verbatim_archive_format::encoding::Manifest;
use verbatim_archive_format::record::{PackedRecord, is_stray, let_go, tenant, unfit};
use verbatim_archive_format::stage;
use verbatim_core::model::ExchangeRecord;
use verbatim_core::ports::{Commit, Committed, PortResult};

use crate::Engine;
use crate::bodies::Stages;
use crate::records::{Row, Table, store};

/// A record whose bodies are being stored.
struct Staged {
    record: ExchangeRecord,
    bucket: Bucket,
    /// One a body; `None` where retention deleted that week's bodies already.
    bodies: Option<Vec<stage::Staged>>,
    table: Table,
}

impl Engine {
    /// Stores bodies first, durably, then records and what follows from them in one transaction: whatever a crash
    /// leaves out, no record refers to a block that is not there. Blocks its thread.
    pub(crate) fn commit(&self, batch: Vec<Commit>) -> PortResult<Vec<Committed>> {
        let count = batch.len();
        // Records are written in the order of their keys; each answer goes back to its place.
        let mut records: Vec<(usize, ExchangeRecord)> =
            batch.into_iter().map(|commit| commit.record).enumerate().collect();
        records.sort_by_key(|(_, record)| record.exchange.id);
        let mut outcomes: Vec<Option<Committed>> = (0..count).map(|_| None).collect();
        let rows = {
            // No bucket goes while a record is about to refer to it.
            let _kept = self.keep_buckets();
            let (mut places, mut staged) = (Vec::with_capacity(count), Vec::with_capacity(count));
            let mut stages = Stages::new(&self.buckets, &self.squeezers);
            for (place, record) in records {
                match unfit(&record) {
                    Some(why) => outcomes[place] = Some(Committed::Refused(why)),
                    None => {
                        places.push(place);
                        staged.push(self.stage(&mut stages, record)?);
                    }
                }
            }
            stages.finish()?;
            let rows = self.rows(&stages, staged)?;
            let numbers = Arc::clone(&self.records.numbers);
            let committed =
                self.records.writer.run_blocking(move |connection| store(connection, &numbers, &rows))?;
            places.into_iter().zip(committed)
        };
        for (place, committed) in rows {
            count_outcome(&committed);
            outcomes[place] = Some(committed);
        }
        let missing = || Committed::Refused("the archive lost track of this record".to_owned());
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(missing)).collect())
    }

    fn stage(&self, stages: &mut Stages<'_>, mut record: ExchangeRecord) -> PortResult<Staged> {
        let now = self.clock.now();
        let exchange = &record.exchange;
        let table = if is_stray(exchange.id, exchange.began_at, now) {
            tracing::error!(exchange = %exchange.id, began_at = %exchange.began_at,
                "an exchange's id does not fit its time or ours: it is kept aside, see the clocks of gateways");
            metrics::counter!("verbatim_archive_stray_total").increment(1);
            Table::Stray
        } else {
            Table::Exchange
        };
        // A stray id names no week that could be right.
        let time = if table == Table::Stray { now } else { exchange.id.time() };
        let tenant = tenant(&record.exchange);
        let bucket = self.buckets.for_bodies_of(time);
        let bodies = match bucket {
            None => None,
            Some(bucket) => {
                let bodies = record.bodies.iter_mut().map(|body| {
                    let staged = stages.take(bucket, &tenant, &body.bytes)?;
                    let_go(body);
                    Ok(staged)
                });
                Some(bodies.collect::<PortResult<_>>()?)
            }
        };
        let bucket = bucket.unwrap_or(Bucket { week: Bucket::week_of(time), part: 0 });
        Ok(Staged { record, bucket, bodies, table })
    }

    fn rows(&self, stages: &Stages<'_>, staged: Vec<Staged>) -> PortResult<Vec<Row>> {
        self.squeezers.with(|squeezer| {
            let rows = staged.into_iter().map(|staged| {
                let Staged { record, bucket, bodies, table } = staged;
                let deleted = || vec![Manifest::Deleted; record.bodies.len()];
                let manifests = bodies.as_ref().map_or_else(deleted, |bodies| {
                    bodies.iter().map(|body| stages.manifest(bucket, body)).collect()
                });
                let record = PackedRecord::new(squeezer, record, bucket, manifests)?;
                metrics::counter!("verbatim_archive_captured_bytes_total").increment(record.captured);
                Ok(Row { record, table })
            });
            rows.collect()
        })
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
