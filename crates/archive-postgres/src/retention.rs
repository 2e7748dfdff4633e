//! Deleting what is past its time, or too much.
//!
//! First the tombstone is moved, under the lock of the weeks that are concerned: from then on nobody sees what is below
//! it, and nobody writes there. Then partitions are detached and dropped, one by one. Whatever ends a pass in between,
//! the next one finishes it.

use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use jiff::civil::Date;
use uuid::Uuid;
use verbatim_archive_format::bucket::Bucket;
use verbatim_archive_format::text::{int, unsigned};
use verbatim_core::model::{ExchangeId, Timestamp};
use verbatim_core::ports::{Erased, Retention};

use crate::Engine;
use crate::day::{self, uuid};
use crate::error::{Doing, Fault};
use crate::locks;
use crate::partitions;
use crate::records::{losses, totals};
use crate::tombstone::{Tombstone, bucket_of, number_of};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows of a day that stays are deleted so many at a time.
const ROWS_AT_ONCE: i64 = 5_000;
/// Where bytes are limited, a bucket that has grown past this part of the limit is followed by another part of its
/// week, so that something older than the newest can go.
const BUCKET_PART: u64 = 8;
/// Dropping a partition waits so long for those who read it; the next pass tries again.
const LONGEST_WAIT: &str = "60s";

/// Has the search index forget every record up to one.
const FORGET: &str = "INSERT INTO outbox (id) SELECT $1::uuid FROM outbox_state WHERE kept";

/// One pass, on a session of its own, which holds the lock that keeps other processes from doing the same.
struct Pass {
    client: ClientWrapper,
    erased: Erased,
}

impl Engine {
    /// One pass. Bodies go by the bucket and records by the day, but for those that are too many: they go one by one.
    pub(crate) async fn enforce(&self, retention: Retention, now: Timestamp) -> Result<Erased, Fault> {
        let _alone = self.maintenance.lock().await;
        let client = Object::take(self.database.upkeep.get().await?);
        if !locks::try_to_take_for_session(&client, locks::RETENTION).await? {
            return Ok(Erased::default());
        }
        let sql = format!("SET lock_timeout = '{LONGEST_WAIT}'");
        client.batch_execute(&sql).await.doing("begin a pass of retention")?;
        let mut pass = Pass { client, erased: Erased::default() };
        pass.sweep().await?;
        let before = bytes(&pass.client).await?;
        pass.by_days(retention, now).await?;
        if retention.max_exchanges > 0 {
            pass.all_but(retention.max_exchanges).await?;
        }
        pass.sweep().await?;
        if retention.max_bytes > 0 {
            self.begin_part(&pass.client, retention.max_bytes).await?;
            pass.down_to(retention.max_bytes).await?;
        }
        let mut erased = pass.erased;
        if erased.exchanges > 0 || erased.bodies > 0 {
            erased.bytes = before.saturating_sub(bytes(&pass.client).await?);
            let Erased { exchanges, bodies, bytes, .. } = erased;
            tracing::info!(exchanges, bodies, bytes, "erased");
        }
        self.partitions.look(&pass.client).await?;
        metrics::counter!("verbatim_archive_erased_exchanges_total").increment(erased.exchanges);
        metrics::counter!("verbatim_archive_erased_bytes_total").increment(erased.bytes);
        Ok(erased)
    }

    /// Lets new bodies of the newest bucket's week go to another part, if it has grown too much for the limit.
    async fn begin_part(&self, client: &ClientWrapper, limit: u64) -> Result<(), Fault> {
        let Some(newest) = buckets(client).await?.pop() else { return Ok(()) };
        let sql = "SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)::bigint FROM unnest($1::text[]) AS name";
        let names = ["block", "piece"].map(|parent| partitions::table(parent, newest)).to_vec();
        let row = client.query_one(sql, &[&names]).await.doing("measure a bucket")?;
        if unsigned(row.get(0)) > limit / BUCKET_PART {
            self.partitions.make_missing(&self.database.upkeep, Vec::new(), vec![newest.next_part()]).await?;
        }
        Ok(())
    }
}

impl Pass {
    async fn by_days(&mut self, retention: Retention, now: Timestamp) -> Result<(), Fault> {
        let cutoff = |days: u32| (days > 0).then(|| now.minus(DAY * days));
        if let Some(cutoff) = cutoff(retention.bodies_days) {
            self.bodies_before(cutoff).await?;
        }
        if let Some(cutoff) = cutoff(retention.metadata_days) {
            let over = days(&self.client).await?.into_iter().rfind(|&day| day::end(day) <= cutoff);
            if let Some(last) = over {
                self.records_through(day::last_of(last)).await?;
            }
            let sql = "DELETE FROM exchange_stray WHERE began_us < $1";
            self.client.execute(sql, &[&cutoff.as_unix_us()]).await.doing("delete stray records")?;
            // What no record can refer to any more.
            self.bodies_before(cutoff).await?;
        }
        Ok(())
    }

    /// The weeks that were over at `cutoff`.
    async fn bodies_before(&mut self, cutoff: Timestamp) -> Result<(), Fault> {
        let over = buckets(&self.client).await?.into_iter().rfind(|bucket| bucket.end() <= cutoff);
        match over {
            // Bodies of that week that come late are not kept.
            Some(last) => self.bodies_below(last.next_week()).await,
            None => Ok(()),
        }
    }

    async fn all_but(&mut self, keep: u64) -> Result<(), Fault> {
        let by_day = totals::by_day(&self.client).await?;
        let there: u64 = by_day.iter().map(|(_, exchanges)| exchanges).sum();
        let mut excess = there.saturating_sub(keep);
        if excess == 0 {
            return Ok(());
        }
        let whole = by_day.iter().take_while(|(_, exchanges)| {
            let fits = *exchanges <= excess;
            excess -= if fits { *exchanges } else { 0 };
            fits
        });
        if let Some((last, _)) = whole.last() {
            self.records_through(day::last_of(*last)).await?;
        }
        if excess > 0 {
            let sql = "SELECT id FROM exchange WHERE id > (SELECT erased_through FROM tombstone) \
                       ORDER BY id OFFSET $1 LIMIT 1";
            let found =
                self.client.query_opt(sql, &[&int(excess - 1)]).await.doing("find what is too much")?;
            if let Some(last) = found.and_then(|row| ExchangeId::try_from(row.get::<_, Uuid>(0)).ok()) {
                self.records_through(last).await?;
            }
        }
        Ok(())
    }

    async fn down_to(&mut self, limit: u64) -> Result<(), Fault> {
        while bytes(&self.client).await? > limit {
            let (buckets, days) = (buckets(&self.client).await?, days(&self.client).await?);
            let today_and_later = days.len().min(1);
            match (&buckets[..], &days[..days.len() - today_and_later]) {
                ([_, next, ..], _) => self.bodies_below(*next).await?,
                (_, [oldest, ..]) if self.is_used(*oldest).await? || days.len() > 1 => {
                    self.records_through(day::last_of(*oldest)).await?;
                }
                _ => {
                    tracing::warn!(
                        limit,
                        "the archive takes more than its limit, and what is left is of today"
                    );
                    return Ok(());
                }
            }
            self.sweep().await?;
        }
        Ok(())
    }

    async fn is_used(&self, day: Date) -> Result<bool, Fault> {
        Ok(totals::by_day(&self.client).await?.iter().any(|(of, exchanges)| *of == day && *exchanges > 0))
    }

    /// Deletes all bodies below a bucket.
    async fn bodies_below(&mut self, below: Bucket) -> Result<(), Fault> {
        const DOING: &str = "delete bodies";
        let gone: Vec<Bucket> =
            buckets(&self.client).await?.into_iter().filter(|&bucket| bucket < below).collect();
        let weeks: Vec<i32> = gone.iter().map(|bucket| bucket.week.cast_signed()).collect();
        let transaction = self.client.transaction().await.doing(DOING)?;
        locks::take(transaction.client(), locks::FOLD).await?;
        locks::take_weeks(transaction.client(), &weeks).await?;
        totals::fold(transaction.client()).await?;
        let parts: Vec<i32> = gone.iter().map(|bucket| bucket.part.cast_signed()).collect();
        let sql = include_str!("../queries/forget_bodies.sql");
        let row = transaction.query_one(sql, &[&weeks, &parts]).await.doing(DOING)?;
        let bodies = unsigned(row.get(0));
        let number = number_of(below);
        losses::note(transaction.client(), number).await?;
        let sql = "UPDATE tombstone SET bodies_below = greatest(bodies_below, $1)";
        transaction.execute(sql, &[&number]).await.doing(DOING)?;
        transaction.execute("DELETE FROM bucket WHERE bucket < $1", &[&number]).await.doing(DOING)?;
        transaction.commit().await.doing(DOING)?;
        self.erased.bodies += bodies;
        Ok(())
    }

    /// Deletes all records up to an id.
    async fn records_through(&mut self, through: ExchangeId) -> Result<(), Fault> {
        const DOING: &str = "delete old records";
        let all = days(&self.client).await?;
        let concerned: Vec<Date> = all.into_iter().filter(|&day| day <= day::day_of(through)).collect();
        let whole: Vec<Date> =
            concerned.iter().copied().filter(|&day| day::last_of(day) <= through).collect();
        let mut weeks: Vec<i32> =
            concerned.iter().map(|&day| Bucket::week_of(day::begin(day)).cast_signed()).collect();
        weeks.dedup();
        let transaction = self.client.transaction().await.doing(DOING)?;
        locks::take(transaction.client(), locks::FOLD).await?;
        locks::take_weeks(transaction.client(), &weeks).await?;
        totals::fold(transaction.client()).await?;
        let sql = "WITH gone AS (DELETE FROM total WHERE day = ANY($1) RETURNING exchanges)
                   SELECT coalesce(sum(exchanges), 0)::bigint FROM gone";
        let row = transaction.query_one(sql, &[&whole]).await.doing(DOING)?;
        let exchanges = unsigned(row.get(0));
        transaction.execute("DELETE FROM exchange_day WHERE day = ANY($1)", &[&whole]).await.doing(DOING)?;
        let id = uuid(through);
        let sql = "UPDATE tombstone SET erased_through = greatest(erased_through, $1)";
        transaction.execute(sql, &[&id]).await.doing(DOING)?;
        transaction.execute("DELETE FROM open_exchange WHERE id <= $1", &[&id]).await.doing(DOING)?;
        transaction.execute(FORGET, &[&id]).await.doing(DOING)?;
        transaction.commit().await.doing(DOING)?;
        self.erased.exchanges += exchanges + self.delete_rows(through).await?;
        let transaction = self.client.transaction().await.doing(DOING)?;
        // Who has claimed one may be about to write its document, and looks again because of the entry.
        let sql = "DELETE FROM outbox WHERE id <= $1 AND claimant IS NULL";
        transaction.execute(sql, &[&id]).await.doing(DOING)?;
        transaction.execute(FORGET, &[&id]).await.doing(DOING)?;
        transaction.execute("DELETE FROM outbox_failed WHERE id <= $1", &[&id]).await.doing(DOING)?;
        transaction.commit().await.doing(DOING)?;
        Ok(())
    }

    /// Deletes the records up to an id of a day that stays; gives how many.
    async fn delete_rows(&self, through: ExchangeId) -> Result<u64, Fault> {
        let day = day::day_of(through);
        let mut deleted = 0;
        if day::last_of(day) <= through {
            return Ok(0);
        }
        loop {
            let sql = include_str!("../queries/delete_oldest.sql");
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                [&day::bound(day::begin(day)), &uuid(through), &ROWS_AT_ONCE, &day];
            let row = self.client.query_one(sql, &values).await.doing("delete old records")?;
            let count: i64 = row.get(0);
            deleted += unsigned(count);
            if count < ROWS_AT_ONCE {
                return Ok(deleted);
            }
        }
    }

    /// Drops what is below the tombstone, and deletes rows that a pass that was broken off left. Where somebody reads a
    /// partition for long, the next pass finds it again: nobody else sees it any more.
    async fn sweep(&mut self) -> Result<(), Fault> {
        let Tombstone { erased_through, bodies_below } = Tombstone::read(&self.client).await?;
        let is_gone = |parent: &str, name: &str| match parent {
            "exchange" => day::of_table(name).is_some_and(|day| Some(day::last_of(day)) <= erased_through),
            _ => partitions::of_table(parent, name).is_some_and(|bucket| bucket < bodies_below),
        };
        for parent in ["exchange", "block", "piece"] {
            let dropped = partitions::drop_where(&self.client, parent, |name| is_gone(parent, name)).await;
            if let Err(fault) = dropped {
                tracing::warn!(%fault, "a deleted partition can't be dropped now: the next pass tries again");
                break;
            }
        }
        if let Some(through) = erased_through {
            self.delete_rows(through).await?;
        }
        Ok(())
    }
}

/// Days that have a partition, oldest first.
async fn days(client: &ClientWrapper) -> Result<Vec<Date>, Fault> {
    let rows = client.query("SELECT day FROM exchange_day ORDER BY day", &[]).await.doing("list days")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Buckets that have partitions, oldest first.
async fn buckets(client: &ClientWrapper) -> Result<Vec<Bucket>, Fault> {
    let rows = client.query("SELECT bucket FROM bucket ORDER BY bucket", &[]).await.doing("list buckets")?;
    Ok(rows.iter().map(|row| bucket_of(row.get(0))).collect())
}

/// Bytes that all tables take on disk, with their indexes.
pub(crate) async fn bytes(client: &tokio_postgres::Client) -> Result<u64, Fault> {
    let sql = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
               WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'";
    let row = client.query_one(sql, &[]).await.doing("measure the archive")?;
    Ok(unsigned(row.get(0)))
}
