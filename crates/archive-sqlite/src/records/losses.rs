//! Records whose bodies retention deleted, to be indexed again without them.
//!
//! That a bucket's bodies are gone is noted in the transaction that says so; entries of the outbox are made of that by
//! whoever claims and has nothing else to do, a stretch of ids at a time.

use rusqlite::{Connection, OptionalExtension, params};
use verbatim_archive_format::bucket::Bucket;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::PortResult;
use verbatim_sqlite::Doing;

use super::outbox::RebuildNumbers;

/// Records looked at in one transaction, so that commits find room between.
const SEEN_AT_ONCE: u32 = 5_000;

/// Notes buckets. Part of the transaction that says that their bodies are deleted.
pub(crate) fn note(connection: &Connection, buckets: &[Bucket]) -> PortResult<()> {
    let mut insert = connection
        .prepare_cached("INSERT OR IGNORE INTO body_loss (week, part) VALUES (?1, ?2)")
        .doing("note which bodies go")?;
    buckets
        .iter()
        .try_for_each(|bucket| insert.execute(params![bucket.week, bucket.part]).map(|_| ()))
        .doing("note which bodies go")
}

/// Forgets those noted so far: every record is indexed again anyway.
pub(crate) fn clear(connection: &Connection) -> PortResult<()> {
    connection.execute("DELETE FROM body_loss", []).map(|_| ()).doing("forget which bodies went")
}

/// Whether there are records that have no entry yet.
pub(crate) fn are_there(connection: &Connection) -> PortResult<bool> {
    connection
        .prepare_cached("SELECT 1 FROM body_loss LIMIT 1")
        .and_then(|mut select| select.exists([]))
        .doing("look which bodies went")
}

/// Makes entries for the next records that lost their bodies; gives whether there are any more to look at.
pub(crate) fn next(connection: &Connection) -> PortResult<bool> {
    const DOING: &str = "note records whose bodies were deleted";
    let next = connection
        .query_row("SELECT week, part, after FROM body_loss ORDER BY week, part LIMIT 1", [], |row| {
            Ok((Bucket { week: row.get(0)?, part: row.get(1)? }, row.get::<_, Vec<u8>>(2)?))
        })
        .optional()
        .doing(DOING)?;
    let Some((bucket, after)) = next else { return Ok(false) };
    let bound = |time| ExchangeId::lowest_at(time).as_bytes().to_vec();
    let sql = "SELECT id, part = ?3 AND captured > 0 FROM exchange WHERE id > ?1 AND id >= ?2 AND id < ?4 \
               ORDER BY id LIMIT ?5";
    let mut select = connection.prepare_cached(sql).doing(DOING)?;
    let range = params![after, bound(bucket.begin()), bucket.part, bound(bucket.end()), SEEN_AT_ONCE];
    let seen = select.query_map(range, |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, bool>(1)?)));
    let seen: Vec<_> = seen.doing(DOING)?.collect::<Result<_, _>>().doing(DOING)?;
    let mut numbers = RebuildNumbers::of(connection)?;
    for (id, _) in seen.iter().filter(|(_, lost)| *lost) {
        numbers.insert(id)?;
    }
    numbers.keep()?;
    match seen.last().filter(|_| seen.len() >= SEEN_AT_ONCE as usize) {
        Some((last, _)) => {
            let sql = "UPDATE body_loss SET after = ?3 WHERE week = ?1 AND part = ?2";
            connection.execute(sql, params![bucket.week, bucket.part, last]).doing(DOING)?;
        }
        None => {
            let sql = "DELETE FROM body_loss WHERE week = ?1 AND part = ?2";
            connection.execute(sql, params![bucket.week, bucket.part]).doing(DOING)?;
        }
    }
    are_there(connection)
}
