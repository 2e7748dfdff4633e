//! Partitions: of records a day, of blocks and pieces a bucket. Made before they are needed, dropped whole.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use deadpool_postgres::Object;
use jiff::civil::Date;
use tokio_postgres::Client;
use verbatim_archive_format::bucket::Bucket;
use verbatim_core::model::Timestamp;

use crate::day;
use crate::error::{Doing, Fault};
use crate::locks;
use crate::pool::Connections;
use crate::tombstone::{Tombstone, bucket_of, number_of};

/// Days for which partitions are made ahead, today included.
const AHEAD: i32 = 3;

/// What this process knows to be there. It may be behind what other processes did: a writer that finds it so looks
/// again.
pub(crate) struct Partitions {
    known: Mutex<Known>,
}

#[derive(Debug, Clone)]
struct Known {
    days: HashSet<Date>,
    buckets: BTreeSet<Bucket>,
    tombstone: Tombstone,
}

impl Partitions {
    pub(crate) fn new() -> Self {
        let tombstone = Tombstone { erased_through: None, bodies_below: Bucket { week: 0, part: 0 } };
        let known = Known { days: HashSet::new(), buckets: BTreeSet::new(), tombstone };
        Self { known: Mutex::new(known) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was deleted, as far as this process knows.
    pub(crate) fn tombstone(&self) -> Tombstone {
        self.known().tombstone
    }

    /// The bucket for new bodies of that time; `None` where that week's bodies are deleted already.
    pub(crate) fn for_bodies_of(&self, time: Timestamp) -> Option<Bucket> {
        let week = Bucket::week_of(time);
        let known = self.known();
        let newest =
            known.buckets.range(Bucket { week, part: 0 }..=Bucket { week, part: u32::MAX }).next_back();
        let bucket = newest.copied().unwrap_or(Bucket { week, part: 0 });
        match known.tombstone.bodies_below {
            floor if floor.week > week => None,
            floor => Some(bucket.max(floor)),
        }
    }

    /// Looks again at what is there.
    pub(crate) async fn look(&self, client: &Client) -> Result<(), Fault> {
        let sql = "SELECT t.erased_through, t.bodies_below, ARRAY(SELECT day FROM exchange_day), \
                   ARRAY(SELECT bucket FROM bucket) FROM tombstone AS t";
        let row = client.query_one(sql, &[]).await.doing("look which partitions there are")?;
        let (days, buckets): (Vec<Date>, Vec<i64>) = (row.get(2), row.get(3));
        *self.known() = Known {
            days: days.into_iter().collect(),
            buckets: buckets.into_iter().map(bucket_of).collect(),
            tombstone: Tombstone::of_row(&row),
        };
        Ok(())
    }

    /// Makes those for today and the next days, and the buckets that they fall into.
    pub(crate) async fn make_ahead(&self, upkeep: &Connections, now: Timestamp) -> Result<(), Fault> {
        let today = day::date(now);
        let days: Vec<Date> =
            (0..AHEAD).filter_map(|n| today.checked_add(jiff::Span::new().days(n)).ok()).collect();
        let buckets = days.iter().filter_map(|&day| self.for_bodies_of(day::begin(day))).collect();
        self.make_missing(upkeep, days, buckets).await
    }

    /// Makes those that are not known to be there. Whoever else makes them at the same time is waited for.
    pub(crate) async fn make_missing(
        &self,
        upkeep: &Connections,
        mut days: Vec<Date>,
        mut buckets: Vec<Bucket>,
    ) -> Result<(), Fault> {
        {
            let known = self.known();
            days.retain(|day| !known.days.contains(day));
            buckets.retain(|bucket| !known.buckets.contains(bucket));
        }
        if days.is_empty() && buckets.is_empty() {
            return Ok(());
        }
        let (days, buckets) = (&days, &buckets);
        upkeep.run(async |client: Object| make(client, days, buckets).await).await?;
        upkeep.run(async |client: Object| self.look(&client).await).await
    }
}

/// Attached rather than created in place: that takes no lock that a reader or a writer would wait for.
async fn make(mut client: Object, days: &[Date], buckets: &[Bucket]) -> Result<(), Fault> {
    const DOING: &str = "make a partition";
    let transaction = client.transaction().await.doing(DOING)?;
    locks::take(transaction.client(), locks::PARTITIONS).await?;
    for &day in days {
        let sql = "INSERT INTO exchange_day (day) VALUES ($1) ON CONFLICT DO NOTHING";
        if transaction.execute(sql, &[&day]).await.doing(DOING)? == 1 {
            let (from, to) = (day::bound(day::begin(day)), day::bound(day::end(day)));
            let bounds = format!("FROM ('{from}') TO ('{to}')");
            transaction.batch_execute(&attach("exchange", &day::table(day), &bounds)).await.doing(DOING)?;
        }
    }
    for &bucket in buckets {
        let number = number_of(bucket);
        let sql = "INSERT INTO bucket (bucket) VALUES ($1) ON CONFLICT DO NOTHING";
        if transaction.execute(sql, &[&number]).await.doing(DOING)? == 1 {
            for parent in ["block", "piece"] {
                let bounds = format!("IN ({number})");
                transaction
                    .batch_execute(&attach(parent, &table(parent, bucket), &bounds))
                    .await
                    .doing(DOING)?;
            }
        }
    }
    transaction.commit().await.doing(DOING)
}

fn attach(parent: &str, table: &str, bounds: &str) -> String {
    format!(
        "CREATE TABLE {table} (LIKE {parent} INCLUDING ALL); \
         ALTER TABLE {parent} ATTACH PARTITION {table} FOR VALUES {bounds};"
    )
}

/// The name of a bucket's partition.
pub(crate) fn table(parent: &str, bucket: Bucket) -> String {
    format!("{parent}_{:05}_{:03}", bucket.week, bucket.part)
}

/// The bucket whose partition has this name.
pub(crate) fn of_table(parent: &str, name: &str) -> Option<Bucket> {
    let (week, part) = name.strip_prefix(parent)?.strip_prefix('_')?.split_once('_')?;
    let bucket = Bucket { week: week.parse().ok()?, part: part.parse().ok()? };
    (table(parent, bucket) == name).then_some(bucket)
}

/// Drops the partitions of a table that nobody is to see any more: `is_gone` tells by name. A reader that is at one
/// reads on; one that was left over by a pass that was broken off goes, too. Gives how many went.
pub(crate) async fn drop_where(
    client: &Client,
    parent: &str,
    is_gone: impl Fn(&str) -> bool,
) -> Result<u64, Fault> {
    const DOING: &str = "drop a partition";
    let sql = "SELECT c.relname::text, i.inhrelid IS NOT NULL, coalesce(i.inhdetachpending, false)
               FROM pg_class AS c
               LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid AND i.inhparent = to_regclass($1)
               WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname LIKE $2
               ORDER BY c.relname";
    let like = format!("{}\\_%", parent.replace('_', "\\_"));
    let rows = client.query(sql, &[&parent, &like]).await.doing("list partitions")?;
    let mut dropped = 0;
    for row in rows {
        let (name, attached, pending): (String, bool, bool) = (row.get(0), row.get(1), row.get(2));
        if !is_gone(&name) {
            continue;
        }
        if pending {
            let sql = format!("ALTER TABLE {parent} DETACH PARTITION {name} FINALIZE");
            client.batch_execute(&sql).await.doing(DOING)?;
        } else if attached {
            let sql = format!("ALTER TABLE {parent} DETACH PARTITION {name} CONCURRENTLY");
            client.batch_execute(&sql).await.doing(DOING)?;
        }
        client.batch_execute(&format!("DROP TABLE {name}")).await.doing(DOING)?;
        dropped += 1;
    }
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partitions_name_tells_its_bucket() {
        let bucket = Bucket { week: 2945, part: 3 };
        assert_eq!(table("block", bucket), "block_02945_003");
        assert_eq!(of_table("block", "block_02945_003"), Some(bucket));
        for other in ["piece_02945_003", "block_2945_3", "block_number", "block_02945_003_pkey"] {
            assert_eq!(of_table("block", other), None, "{other}");
        }
    }
}
