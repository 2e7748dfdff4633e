//! Exchanges that the search index has yet to take.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Row, params};
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{OutboxEntry, PortError, PortResult};
use verbatim_sqlite::Doing;

use super::{Numbers, Records, losses};

/// Numbers from here on are of records just stored; those below are of a rebuild, which they do not wait for.
pub(crate) const LIVE: i64 = 1 << 40;
/// A rebuild writes so many entries in one transaction, so that commits find room between.
const REFILLED_AT_ONCE: i64 = 5_000;

/// Which entries are handed out. It lives as long as the process: a restart hands all of them out again.
#[derive(Default)]
pub(crate) struct Claims {
    state: tokio::sync::Mutex<Cursors>,
    /// Handed back; to be handed out again before anything newer.
    released: Mutex<BTreeSet<i64>>,
}

/// Numbers up to these are handed out.
#[derive(Clone, Copy)]
struct Cursors {
    rebuild: i64,
    live: i64,
}

impl Default for Cursors {
    fn default() -> Self {
        Self { rebuild: 0, live: LIVE - 1 }
    }
}

impl Claims {
    /// The next entries that nobody has.
    pub(crate) async fn claim(&self, records: &Records, limit: usize) -> PortResult<Vec<OutboxEntry>> {
        let mut cursors = self.state.lock().await;
        let again: Vec<i64> = self.released().iter().copied().take(limit).collect();
        let (mut entries, mut more) = (Vec::new(), true);
        let mut taking = again.clone();
        while more && entries.len() < limit {
            let (from, room) = (*cursors, limit - entries.len());
            let (taken, moved, lost) =
                records.readers.run(move |connection| take(connection, from, &taking, room)).await?;
            *cursors = moved;
            entries.extend(taken);
            taking = Vec::new();
            more = lost && entries.len() < limit;
            if more {
                records.writer.run(losses::next).await?;
            }
        }
        let mut released = self.released();
        again.iter().for_each(|number| {
            released.remove(number);
        });
        Ok(entries)
    }

    fn released(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.released.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands entries back; each has failed once more.
    pub(crate) async fn release(&self, records: &Records, numbers: &[u64]) -> PortResult<()> {
        let back: Vec<i64> = numbers.iter().copied().map(int).collect();
        let failed = back.clone();
        let counted = records.writer.run(move |connection| {
            let mut update = connection
                .prepare_cached("UPDATE outbox SET failures = failures + 1 WHERE number = ?1")
                .doing("count a failure")?;
            failed.iter().try_for_each(|number| update.execute([number]).map(|_| ())).doing("count a failure")
        });
        let counted = counted.await;
        // They are free again even where the count could not be kept.
        self.released().extend(back);
        counted
    }
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Gives also whether more entries can be made of bodies that were deleted.
fn take(
    connection: &Connection,
    mut cursors: Cursors,
    again: &[i64],
    limit: usize,
) -> PortResult<(Vec<OutboxEntry>, Cursors, bool)> {
    const DOING: &str = "read the outbox";
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, u32>(2)?));
    let mut rows = Vec::new();
    let mut one = connection
        .prepare_cached("SELECT number, id, failures FROM outbox WHERE number = ?1")
        .doing(DOING)?;
    for number in again {
        for row in one.query_map([number], read).doing(DOING)? {
            rows.push(row.doing(DOING)?);
        }
    }
    let sql =
        "SELECT number, id, failures FROM outbox WHERE number > ?1 AND number < ?2 ORDER BY number LIMIT ?3";
    let mut next = connection.prepare_cached(sql).doing(DOING)?;
    for (cursor, end) in [(&mut cursors.live, i64::MAX), (&mut cursors.rebuild, LIVE)] {
        let room = i64::try_from(limit.saturating_sub(rows.len())).unwrap_or(i64::MAX);
        for row in next.query_map(params![*cursor, end, room], read).doing(DOING)? {
            let row = row.doing(DOING)?;
            *cursor = row.0;
            rows.push(row);
        }
    }
    let entry = |(number, id, failures): (i64, Vec<u8>, u32)| {
        let id = ExchangeId::try_from(&id[..])
            .map_err(|error| PortError::permanent("an outbox entry names no exchange", error))?;
        Ok(OutboxEntry { number: number.unsigned_abs(), id, failures })
    };
    Ok((rows.into_iter().map(entry).collect::<PortResult<_>>()?, cursors, losses::are_there(connection)?))
}

/// Makes entries.
pub(crate) fn note(connection: &Connection, numbers: &Numbers, ids: &[ExchangeId]) -> PortResult<()> {
    let mut insert = connection
        .prepare_cached("INSERT INTO outbox (number, id) VALUES (?1, ?2)")
        .doing("note exchanges for the index")?;
    ids.iter()
        .try_for_each(|id| insert.execute((numbers.outbox(), id.as_bytes())).map(|_| ()))
        .doing("note exchanges for the index")
}

/// Drops entries.
pub(crate) fn settle(connection: &Connection, numbers: &[u64]) -> PortResult<()> {
    let mut delete =
        connection.prepare_cached("DELETE FROM outbox WHERE number = ?1").doing("settle the outbox")?;
    numbers
        .iter()
        .try_for_each(|&number| delete.execute([int(number)]).map(|_| ()))
        .doing("settle the outbox")
}

/// Moves an entry to those that can't be indexed.
pub(crate) fn set_aside(connection: &Connection, number: u64, reason: &str) -> PortResult<()> {
    const DOING: &str = "set an outbox entry aside";
    let sql = "INSERT OR REPLACE INTO outbox_failed SELECT number, id, ?2 FROM outbox WHERE number = ?1";
    connection.execute(sql, params![int(number), reason.replace('\0', "\u{fffd}")]).doing(DOING)?;
    settle(connection, &[number])
}

/// Makes an entry for every record, newest first.
pub(crate) async fn refill(records: &Records) -> PortResult<u64> {
    drop_rebuild(records).await?;
    records.writer.run(begin_rebuild).await?;
    let (mut below, mut made) = (None, 0);
    loop {
        let (last, count) = records.writer.run(move |connection| refill_below(connection, below)).await?;
        made += count;
        match last {
            Some(last) => below = Some(last),
            None => return Ok(made),
        }
    }
}

/// Drops what an earlier rebuild left: this one makes it again.
async fn drop_rebuild(records: &Records) -> PortResult<()> {
    let sql = "DELETE FROM outbox WHERE number IN (SELECT number FROM outbox WHERE number < ?1 LIMIT ?2)";
    loop {
        let deleted = records.writer.run(move |connection| {
            connection.execute(sql, params![LIVE, REFILLED_AT_ONCE]).doing("empty the outbox")
        });
        if deleted.await? == 0 {
            return Ok(());
        }
    }
}

/// Gives what was set aside another chance.
fn begin_rebuild(connection: &Connection) -> PortResult<()> {
    connection.execute("DELETE FROM outbox_failed", []).doing("begin to refill the outbox")?;
    losses::clear(connection)
}

type Refilled = (Option<Vec<u8>>, u64);

fn refill_below(connection: &Connection, below: Option<Vec<u8>>) -> PortResult<Refilled> {
    const DOING: &str = "refill the outbox";
    let sql = "SELECT id FROM exchange WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
    let below = below.unwrap_or_else(|| vec![0xff; 17]);
    let mut select = connection.prepare_cached(sql).doing(DOING)?;
    let ids =
        select.query_map(params![below, REFILLED_AT_ONCE], |row| row.get::<_, Vec<u8>>(0)).doing(DOING)?;
    let (mut last, mut made) = (None, 0);
    let mut numbers = RebuildNumbers::of(connection)?;
    for id in ids {
        let id = id.doing(DOING)?;
        numbers.insert(&id)?;
        made += 1;
        last = Some(id);
    }
    numbers.keep()?;
    Ok((last, made))
}

/// Entries that those of records just stored need not wait for, with numbers that were never handed out.
pub(crate) struct RebuildNumbers<'a> {
    connection: &'a Connection,
    next: i64,
}

impl<'a> RebuildNumbers<'a> {
    pub(crate) fn of(connection: &'a Connection) -> PortResult<Self> {
        let sql = "SELECT coalesce(max(value), 1) FROM state WHERE name = 'rebuild_number'";
        let next = connection.query_row(sql, [], |row| row.get(0)).doing("number outbox entries")?;
        Ok(Self { connection, next })
    }

    pub(crate) fn insert(&mut self, id: &[u8]) -> PortResult<()> {
        const DOING: &str = "write to the outbox";
        let sql = "INSERT INTO outbox (number, id) VALUES (?1, ?2)";
        self.connection.prepare_cached(sql).doing(DOING)?.execute(params![self.next, id]).doing(DOING)?;
        self.next += 1;
        Ok(())
    }

    /// In the same transaction.
    pub(crate) fn keep(self) -> PortResult<()> {
        let sql = "INSERT OR REPLACE INTO state (name, value) VALUES ('rebuild_number', ?1)";
        self.connection.execute(sql, [self.next]).map(|_| ()).doing("number outbox entries")
    }
}
