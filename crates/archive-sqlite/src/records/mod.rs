//! Records: one file with what is listed and shown, the sums, the outbox, and what is open.

pub(crate) mod columns;
pub(crate) mod losses;
pub(crate) mod open_exchanges;
pub(crate) mod outbox;
pub(crate) mod rollup;
pub(crate) mod state;
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::{Connection, OptionalExtension, params};
use verbatim_core::model::{Exchange, ExchangeId, Rank};
use verbatim_core::ports::{ArchiveHealth, Deleted, PortError, PortResult};
use verbatim_sqlite::{Doing, Options, Readers, Writer, migrate, open};

pub(crate) use columns::Table;
pub(crate) use store::{Row, store};

use crate::sync_directory;

mod migrations {
    refinery::embed_migrations!("migrations/records");
}

/// The file's name in the archive's directory.
pub(crate) const FILE: &str = "records.db";

/// Lists, details and sums are read side by side by so many.
const READERS: usize = 6;

/// The open file of records.
pub(crate) struct Records {
    pub(crate) path: PathBuf,
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) numbers: Arc<Numbers>,
}

/// The next free numbers. They rise as transactions do, because one thread gives them out; one that fails leaves a
/// gap.
pub(crate) struct Numbers {
    detail: AtomicI64,
    outbox: AtomicI64,
}

impl Numbers {
    fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let next = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(AtomicI64::new);
        Ok(Self {
            detail: next("SELECT coalesce(max(number), 0) + 1 FROM exchange_detail")?,
            // One that was set aside keeps its number.
            outbox: next(&format!(
                "SELECT max(coalesce(max(number), 0) + 1, {}) FROM \
                 (SELECT number FROM outbox UNION ALL SELECT number FROM outbox_failed)",
                outbox::LIVE
            ))?,
        })
    }

    pub(crate) fn detail(&self) -> i64 {
        self.detail.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn outbox(&self) -> i64 {
        self.outbox.fetch_add(1, Ordering::Relaxed)
    }
}

impl Records {
    pub(crate) fn open(directory: &Path, options: &Options) -> PortResult<Self> {
        let path = directory.join(FILE);
        let is_new = !path.exists();
        let mut connection = open(&path, options)?;
        migrate(&mut connection, &path, &migrations::migrations::runner())?;
        if is_new {
            sync_directory(directory)?;
        }
        let numbers = Numbers::of(&connection).doing("read the next free numbers")?.into();
        Ok(Self {
            writer: Writer::start("archive-records", connection)?,
            readers: Readers::new(&path, options, READERS),
            path,
            numbers,
        })
    }
}

/// A record with its packed heads, from whichever table it is in.
pub(crate) fn find(connection: &Connection, id: ExchangeId) -> PortResult<Option<(Exchange, Vec<u8>)>> {
    const DOING: &str = "read an exchange";
    for table in [Table::Exchange, Table::Stray] {
        let mut select = connection.prepare_cached(table.select()).doing(DOING)?;
        if let Some(found) = select.query_row([id.as_bytes()], columns::read).optional().doing(DOING)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Whether a table has a record of this exchange.
pub(crate) fn is_in(connection: &Connection, table: Table, id: ExchangeId) -> PortResult<bool> {
    connection
        .prepare_cached(table.is_there())
        .and_then(|mut select| select.exists([id.as_bytes()]))
        .doing("look for a record")
}

/// How far deleting has come.
pub(crate) fn deleted(connection: &Connection) -> PortResult<Deleted> {
    let floor = state::bodies_floor(connection)?;
    let bodies = floor.map_or(0, |floor| u64::from(floor.week) << 32 | u64::from(floor.part));
    Ok(Deleted { records_through: state::erased_through(connection)?, bodies })
}

/// The ranks of those that are archived, in the order asked.
pub(crate) fn ranks(connection: &Connection, ids: &[ExchangeId]) -> PortResult<Vec<Option<Rank>>> {
    const DOING: &str = "read ranks";
    let erased_through = state::erased_through(connection)?;
    let sql =
        "SELECT rank FROM exchange WHERE id = ?1 UNION ALL SELECT rank FROM exchange_stray WHERE id = ?1";
    let mut select = connection.prepare_cached(sql).doing(DOING)?;
    let rank = |id: &ExchangeId| {
        let rank: Option<u8> = select.query_row([id.as_bytes()], |row| row.get(0)).optional().doing(DOING)?;
        let known = rank.and_then(|rank| Rank::ALL.iter().copied().find(|known| known.number() == rank));
        // What was deleted has been archived: nobody is to wait for it.
        Ok(known.or_else(|| (Some(*id) <= erased_through).then_some(Rank::Complete)))
    };
    ids.iter().map(rank).collect()
}

/// Ids of all that is kept, in either table, lowest first.
pub(crate) fn ids(
    connection: &Connection,
    after: Option<ExchangeId>,
    limit: usize,
) -> PortResult<Vec<ExchangeId>> {
    const DOING: &str = "walk exchanges";
    let sql = "SELECT id FROM exchange WHERE id > ?1 UNION ALL SELECT id FROM exchange_stray WHERE id > ?1 \
               ORDER BY id LIMIT ?2";
    let after = after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = connection.prepare_cached(sql).doing(DOING)?;
    let rows = select.query_map(params![after, limit], |row| row.get::<_, Vec<u8>>(0)).doing(DOING)?;
    let id = |row: rusqlite::Result<Vec<u8>>| {
        let unreadable = |error| PortError::permanent(format_args!("could not {DOING}"), error);
        ExchangeId::try_from(&row.doing(DOING)?[..]).map_err(unreadable)
    };
    rows.map(id).collect()
}

/// How much there is; `bytes` is not known here.
pub(crate) fn health(connection: &Connection) -> PortResult<ArchiveHealth> {
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        let count: i64 = connection
            .prepare_cached(&sql)
            .and_then(|mut select| select.query_row([], |row| row.get(0)))
            .doing("count rows")?;
        Ok(u64::try_from(count).unwrap_or(0))
    };
    Ok(ArchiveHealth {
        exchanges: state::count(connection, state::EXCHANGES)?,
        bytes: 0,
        outbox: count("outbox")?,
        outbox_failed: count("outbox_failed")?,
        open: count("open_exchange")?,
        captured_bytes: state::count(connection, state::CAPTURED_BYTES)?,
    })
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    /// With bound values to look at, SQLite may plan a statement anew each time it runs, which costs ten times the
    /// look-up.
    #[test]
    fn looking_up_many_plans_once() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options::default();
        let records = Records::open(directory.path(), &options).unwrap();
        let planned_again = records.readers.run_blocking(|connection| {
            for _ in 0..10 {
                find(connection, ExchangeId::mint())?;
            }
            let statuses = [Table::Exchange, Table::Stray].map(|table| {
                let statement = connection.prepare_cached(table.select()).unwrap();
                statement.get_status(StatementStatus::RePrepare)
            });
            Ok(statuses)
        });
        assert_eq!(planned_again.unwrap(), [0, 0]);
    }
}
