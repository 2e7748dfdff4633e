//! Deleting what is past its time, or too much.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Row, params};
use verbatim_archive_format::bucket::Bucket;
use verbatim_core::model::{ExchangeId, Timestamp};
use verbatim_core::ports::{Erased, PortResult, Retention};
use verbatim_sqlite::{Doing, bytes_on_disk};

use crate::Engine;
use crate::records::{Numbers, losses, outbox, state};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Records are deleted so many at a time, so that commits find room between.
const RECORDS_AT_ONCE: u64 = 2_000;
/// Pages given back to the disk at a time.
const PAGES_AT_ONCE: i64 = 2_000;
/// Free pages below this part of the file stay in it: new records use them.
const FREE_PART: i64 = 8;
/// Where bytes are limited, a file of blocks that has grown past this part of the limit is followed by another, so
/// that something older than the newest can go.
const BUCKET_PART: u64 = 8;

impl Engine {
    /// One pass. Bodies go by the file; records go where their own limits say so, or where bodies alone don't free
    /// enough.
    pub(crate) async fn enforce(
        self: &Arc<Self>,
        retention: Retention,
        now: Timestamp,
    ) -> PortResult<Erased> {
        let _alone = self.maintenance.lock().await;
        let before = self.bytes();
        let mut erased = Erased::default();
        let cutoff = |days: u32| (days > 0).then(|| now.minus(DAY * days));
        if let Some(cutoff) = cutoff(retention.bodies_days) {
            erased.bodies += self.erase_bodies_before(cutoff).await?;
        }
        if let Some(cutoff) = cutoff(retention.metadata_days) {
            let below = ExchangeId::lowest_at(cutoff);
            while self.erase_records(Some(below), RECORDS_AT_ONCE, &mut erased).await? {}
            self.records.writer.run(move |connection| erase_strays(connection, cutoff)).await?;
            // What no record can refer to any more.
            erased.bodies += self.erase_bodies_before(cutoff).await?;
        }
        if retention.max_exchanges > 0 {
            self.erase_all_but(retention.max_exchanges, &mut erased).await?;
        }
        if retention.max_bytes > 0 {
            self.erase_down_to(retention.max_bytes, &mut erased).await?;
        }
        if erased.exchanges > 0 {
            self.forget_outbox().await?;
            self.shrink_records(FREE_PART).await?;
        }
        if erased.exchanges > 0 || erased.bodies > 0 {
            self.write_back().await?;
            erased.bytes = before.saturating_sub(self.bytes());
            tracing::info!(
                exchanges = erased.exchanges,
                bodies = erased.bodies,
                bytes = erased.bytes,
                "erased"
            );
        }
        metrics::counter!("verbatim_archive_erased_exchanges_total").increment(erased.exchanges);
        metrics::counter!("verbatim_archive_erased_bytes_total").increment(erased.bytes);
        Ok(erased)
    }

    /// Bytes of all files on disk.
    pub(crate) fn bytes(&self) -> u64 {
        let blocks: u64 = self.buckets.all().into_iter().map(|bucket| self.buckets.bytes(bucket)).sum();
        bytes_on_disk(&self.records.path) + blocks
    }

    /// Deletes the weeks that were over at `cutoff`.
    async fn erase_bodies_before(self: &Arc<Self>, cutoff: Timestamp) -> PortResult<u64> {
        let over = self.buckets.all().into_iter().rfind(|bucket| bucket.end() <= cutoff);
        match over {
            // Bodies of that week that come late are not kept.
            Some(last) => self.erase_bodies_below(last.next_week()).await,
            None => Ok(0),
        }
    }

    /// Deletes the buckets below `floor`; gives how many records lost their bodies. That they are gone is written
    /// first: a crash in between leaves files that the next start deletes, never bodies that vanished without a word.
    async fn erase_bodies_below(self: &Arc<Self>, floor: Bucket) -> PortResult<u64> {
        let gone: Vec<Bucket> = self.buckets.all().into_iter().filter(|&bucket| bucket < floor).collect();
        let lost = gone.clone();
        let count = self.records.readers.run(move |connection| count_bodies(connection, &gone)).await?;
        let note = move |connection: &_| {
            state::set_bodies_floor(connection, floor)?;
            losses::note(connection, &lost)
        };
        self.records.writer.run(note).await?;
        self.blocking(move |engine| {
            // Commits that are about to refer to a block finish first.
            let _no_commit = engine.change_buckets();
            engine.buckets.delete_below(floor)
        })
        .await?;
        Ok(count)
    }

    async fn erase_all_but(&self, keep: u64, erased: &mut Erased) -> PortResult<()> {
        loop {
            let there =
                self.records.readers.run(|connection| state::count(connection, state::EXCHANGES)).await?;
            let excess = there.saturating_sub(keep).min(RECORDS_AT_ONCE);
            if excess == 0 || !self.erase_records(None, excess, erased).await? {
                return Ok(());
            }
        }
    }

    async fn erase_down_to(self: &Arc<Self>, limit: u64, erased: &mut Erased) -> PortResult<()> {
        self.blocking(move |engine| {
            let newest = engine.buckets.all().pop();
            match newest.filter(|&newest| engine.buckets.bytes(newest) > limit / BUCKET_PART) {
                Some(newest) => engine.buckets.begin_part_after(newest),
                None => Ok(()),
            }
        })
        .await?;
        if self.bytes() <= limit {
            return Ok(());
        }
        self.write_back().await?;
        while self.bytes() > limit {
            let [oldest, _, ..] = self.buckets.all()[..] else { break };
            erased.bodies += self.erase_bodies_below(oldest.next_part()).await?;
        }
        while self.bytes() > limit {
            let count = self.records_in(self.bytes().saturating_sub(limit)).await?;
            if !self.erase_records(None, count, erased).await? {
                break;
            }
            self.forget_outbox().await?;
            self.shrink_records(i64::MAX).await?;
            self.write_back().await?;
        }
        Ok(())
    }

    /// About how many records take so many bytes: some at least, and not all at once, for it is a guess.
    async fn records_in(&self, bytes: u64) -> PortResult<u64> {
        let count = |connection: &Connection| state::count(connection, state::EXCHANGES);
        let there = self.records.readers.run(count).await?;
        let each = (bytes_on_disk(&self.records.path) / there.max(1)).max(1);
        Ok((bytes / each).clamp(RECORDS_AT_ONCE / 20, RECORDS_AT_ONCE).min(there.div_ceil(2)))
    }

    async fn forget_outbox(&self) -> PortResult<()> {
        let numbers = Arc::clone(&self.records.numbers);
        self.records.writer.run(move |connection| forget_outbox(connection, &numbers)).await
    }

    /// Deletes the oldest records, at most `count`; false where there was none.
    async fn erase_records(
        &self,
        below: Option<ExchangeId>,
        count: u64,
        erased: &mut Erased,
    ) -> PortResult<bool> {
        let numbers = Arc::clone(&self.records.numbers);
        let erase = move |connection: &_| erase_oldest(connection, &numbers, below, count);
        let deleted = self.records.writer.run(erase).await?;
        erased.exchanges += deleted;
        Ok(deleted > 0)
    }

    /// Gives free pages back, unless they are less than one part in `part` of the file.
    async fn shrink_records(&self, part: i64) -> PortResult<()> {
        while self.records.writer.between(move |connection| shrink(connection, part)).await? {}
        Ok(())
    }

    /// Writes the records' write-ahead log back, so that files show what was freed.
    async fn write_back(&self) -> PortResult<()> {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let written = self
            .records
            .writer
            .between(move |connection| connection.query_row(sql, [], |_| Ok(())).doing("write the log back"));
        written.await
    }
}

/// How many records have bodies in these buckets.
fn count_bodies(connection: &Connection, buckets: &[Bucket]) -> PortResult<u64> {
    const DOING: &str = "count bodies";
    let sql = "SELECT count(*) FROM exchange WHERE id >= ?1 AND id < ?2 AND part = ?3 AND captured > 0";
    let mut select = connection.prepare_cached(sql).doing(DOING)?;
    let mut sum = 0;
    for bucket in buckets {
        let bound = |time| *ExchangeId::lowest_at(time).as_bytes();
        let range = params![bound(bucket.begin()), bound(bucket.end()), bucket.part];
        let count: i64 = select.query_row(range, |row| row.get(0)).doing(DOING)?;
        sum += u64::try_from(count).unwrap_or(0);
    }
    Ok(sum)
}

/// Deletes the oldest records and leaves a mark that keeps them from coming back.
fn erase_oldest(
    connection: &Connection,
    numbers: &Numbers,
    below: Option<ExchangeId>,
    count: u64,
) -> PortResult<u64> {
    const DOING: &str = "delete old records";
    let below = below.map_or_else(|| vec![0xff; 17], |id| id.as_bytes().to_vec());
    let sql = "SELECT id, detail, captured FROM exchange WHERE id < ?1 ORDER BY id LIMIT ?2";
    let mut select = connection.prepare_cached(sql).doing(DOING)?;
    let read = |row: &Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
    let rows = select.query_map(params![below, count.cast_signed()], read).doing(DOING)?;
    let rows: Vec<_> = rows.collect::<Result<_, _>>().doing(DOING)?;
    let Some((last, _, _)) = rows.last() else { return Ok(0) };
    let mut delete_detail =
        connection.prepare_cached("DELETE FROM exchange_detail WHERE number = ?1").doing(DOING)?;
    let mut captured = 0;
    for (_, detail, bytes) in &rows {
        delete_detail.execute([detail]).doing(DOING)?;
        captured += bytes;
    }
    connection.execute("DELETE FROM exchange WHERE id <= ?1", [last]).doing(DOING)?;
    connection.execute("DELETE FROM open_exchange WHERE id <= ?1", [last]).doing(DOING)?;
    if let Ok(id) = ExchangeId::try_from(&last[..]) {
        state::set_erased_through(connection, id)?;
        // For the search index to forget all of them.
        outbox::note(connection, numbers, &[id])?;
    }
    let deleted = rows.len() as u64;
    state::add(connection, state::EXCHANGES, -deleted.cast_signed())?;
    state::add(connection, state::CAPTURED_BYTES, -captured)?;
    Ok(deleted)
}

/// Their ids don't tell their age; when they say they began must do.
fn erase_strays(connection: &Connection, cutoff: Timestamp) -> PortResult<()> {
    const DOING: &str = "delete stray records";
    let sql =
        "DELETE FROM exchange_detail WHERE number IN (SELECT detail FROM exchange_stray WHERE began_us < ?1)";
    connection.execute(sql, [cutoff.as_unix_us()]).doing(DOING)?;
    connection
        .execute("DELETE FROM exchange_stray WHERE began_us < ?1", [cutoff.as_unix_us()])
        .doing(DOING)?;
    Ok(())
}

/// Drops entries of deleted records, but for one that has the index forget all of them.
fn forget_outbox(connection: &Connection, numbers: &Numbers) -> PortResult<()> {
    const DOING: &str = "forget deleted records";
    let Some(through) = state::erased_through(connection)? else { return Ok(()) };
    connection.execute("DELETE FROM outbox WHERE id <= ?1", [through.as_bytes()]).doing(DOING)?;
    connection.execute("DELETE FROM outbox_failed WHERE id <= ?1", [through.as_bytes()]).doing(DOING)?;
    outbox::note(connection, numbers, &[through])
}

/// Gives back a few pages; whether there is more to give.
fn shrink(connection: &Connection, part: i64) -> PortResult<bool> {
    const DOING: &str = "give pages back to the disk";
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).doing(DOING);
    let (free, all) = (pragma("freelist_count")?, pragma("page_count")?);
    if free <= all / part {
        return Ok(false);
    }
    let mut give = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})")).doing(DOING)?;
    let mut rows = give.query([]).doing(DOING)?;
    while rows.next().doing(DOING)?.is_some() {}
    Ok(pragma("freelist_count")? < free)
}
