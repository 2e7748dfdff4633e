//! From records to rows and blocks.

use std::sync::Arc;
use std::time::Duration;

use verbatim_core::model::{ExchangeId, ExchangeRecord, LegBody, LegInfo, Timestamp};
use verbatim_core::ports::{Commit, Committed, PortResult};

use crate::Engine;
use crate::bodies::{self, Stages};
use crate::bucket::Bucket;
use crate::encoding::{Heads, Manifest, StoredBody, encode_heads};
use crate::records::{Row, Table, store};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Nobody has records older than this: an id that says so is wrong.
const OLDEST: Duration = Duration::from_secs(3_653 * 24 * 60 * 60);

/// A record whose bodies are being stored.
struct Staged {
    record: ExchangeRecord,
    bucket: Bucket,
    /// One a body; `None` where retention deleted that week's bodies already.
    bodies: Option<Vec<bodies::Staged>>,
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

    fn stage(&self, stages: &mut Stages<'_>, record: ExchangeRecord) -> PortResult<Staged> {
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
        let tenant = tenant(&record);
        let bucket = self.buckets.for_bodies_of(time);
        let bodies = match bucket {
            None => None,
            Some(bucket) => {
                let bodies = record.bodies.iter().map(|body| stages.take(bucket, &tenant, &body.bytes));
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
                let captured: usize = record.bodies.iter().map(|body| body.bytes.len()).sum();
                metrics::counter!("verbatim_archive_captured_bytes_total").increment(captured as u64);
                let stored = record.bodies.into_iter().enumerate().map(|(index, body)| {
                    let staged = bodies.as_ref().and_then(|bodies| bodies.get(index));
                    let manifest = staged.map_or(Manifest::Deleted, |body| stages.manifest(bucket, body));
                    StoredBody { info: checked(&body), timeline: body.timeline, manifest }
                });
                let heads = Heads { bodies: stored.collect(), heads: record.heads, bucket };
                let heads = squeezer.pack_heads(&encode_heads(&heads))?;
                Ok(Row {
                    exchange: record.exchange,
                    heads,
                    captured: captured as u64,
                    part: bucket.part,
                    table,
                })
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

/// Why a record can never be stored, if so.
fn unfit(record: &ExchangeRecord) -> Option<String> {
    record.bodies.iter().find_map(|body| {
        let LegInfo { leg, stored, stored_hash, .. } = body.info;
        let found = body.bytes.len() as u64;
        if stored != found {
            return Some(format!("the {leg} body says that it has {stored} bytes, but has {found}"));
        }
        let hash = blake3::hash(&body.bytes);
        stored_hash
            .is_some_and(|stored| hash != stored)
            .then(|| format!("the {leg} body's bytes do not match the hash that came with them"))
    })
}

/// A body's description with the hash that reading checks.
fn checked(body: &LegBody) -> LegInfo {
    let hash = body.info.stored_hash.unwrap_or_else(|| *blake3::hash(&body.bytes).as_bytes());
    LegInfo { stored_hash: Some(hash), ..body.info.clone() }
}

/// Whose blocks an exchange may share.
fn tenant(record: &ExchangeRecord) -> String {
    let caller = &record.exchange.caller;
    match (&caller.project, &caller.credential) {
        (Some(project), _) => format!("project {project}"),
        (None, Some(credential)) => format!("credential {credential}"),
        (None, None) => String::new(),
    }
}

/// Whether an id does not tell when its exchange was made: far from now, or from when the exchange began.
fn is_stray(id: ExchangeId, began_at: Timestamp, now: Timestamp) -> bool {
    let time = id.time();
    let apart = time.since(began_at).max(began_at.since(time));
    time < now.minus(OLDEST) || time > now.plus(DAY) || apart > DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_far_from_now_or_from_the_beginning_is_stray() {
        let now = Timestamp::from_unix_ms(1_795_300_000_000);
        let stray = |id: Timestamp, began: Timestamp| is_stray(ExchangeId::lowest_at(id), began, now);
        assert!(!stray(now, now));
        assert!(!stray(now.minus(DAY * 3_000), now.minus(DAY * 3_000)));
        assert!(stray(now.plus(DAY * 2), now.plus(DAY * 2)));
        assert!(stray(now.minus(DAY * 4_000), now.minus(DAY * 4_000)));
        assert!(stray(now, now.minus(DAY * 2)));
    }
}
