//! Writing records: which of two stays, and what follows from it.

use rusqlite::{Connection, OptionalExtension};
use verbatim_archive_format::record::PackedRecord;
use verbatim_archive_format::sums::{Changes, Counted};
use verbatim_archive_format::text::int;
use verbatim_core::model::{ExchangeId, Rank};
use verbatim_core::ports::{Committed, PortError, PortResult};
use verbatim_sqlite::Doing;

use super::columns::{self, Place, Table};
use super::{Numbers, is_in, open_exchanges, rollup, state};

/// A record whose bodies are durable as blocks.
pub(crate) struct Row {
    pub(crate) record: PackedRecord,
    /// Where it belongs, unless another record of its exchange is elsewhere.
    pub(crate) table: Table,
}

impl Row {
    fn id(&self) -> ExchangeId {
        self.record.exchange.id
    }

    /// Which of two records stays: the one of higher rank; of two checkpoints the one that holds more, bytes or the
    /// answer's head, for each adds to the one before.
    fn precedence(&self) -> (u8, i64, bool) {
        let exchange = &self.record.exchange;
        precedence(exchange.rank().number(), int(self.record.captured), exchange.status.is_some())
    }
}

fn precedence(rank: u8, captured: i64, answered: bool) -> (u8, i64, bool) {
    if rank == Rank::Running.number() { (rank, captured, answered) } else { (rank, 0, false) }
}

/// Writes records within the caller's transaction. One that can never be written is refused alone.
pub(crate) fn store(connection: &Connection, numbers: &Numbers, rows: &[Row]) -> PortResult<Vec<Committed>> {
    match attempt(connection, numbers, rows) {
        Err(PortError::Permanent(_)) => {}
        other => return other,
    }
    let alone = rows.iter().map(|row| match attempt(connection, numbers, std::slice::from_ref(row)) {
        Ok(mut one) => Ok(one.pop().unwrap_or(Committed::Superseded)),
        Err(PortError::Permanent(why)) => {
            tracing::error!(exchange = %row.id(), why, "a record can't be stored");
            Ok(Committed::Refused(why))
        }
        Err(error) => Err(error),
    });
    alone.collect()
}

/// All of them, or none.
fn attempt(connection: &Connection, numbers: &Numbers, rows: &[Row]) -> PortResult<Vec<Committed>> {
    let step =
        |sql| connection.prepare_cached(sql).and_then(|mut step| step.execute([])).doing("store records");
    step("SAVEPOINT records")?;
    let result = store_all(connection, numbers, rows);
    // On a full disk SQLite has undone everything already, and there is no savepoint left.
    if !connection.is_autocommit() {
        if result.is_err() {
            step("ROLLBACK TO records")?;
        }
        step("RELEASE records")?;
    }
    result
}

fn store_all(connection: &Connection, numbers: &Numbers, rows: &[Row]) -> PortResult<Vec<Committed>> {
    let erased_through = state::erased_through(connection)?;
    let mut totals = Totals::default();
    let mut committed = Vec::with_capacity(rows.len());
    for row in rows {
        // The clock may have been set since a record of it was stored: what its id tells now is no matter.
        let other = row.table.other();
        let table = if is_in(connection, other, row.id())? { other } else { row.table };
        let is_erased = table == Table::Exchange && Some(row.id()) <= erased_through;
        let stored = !is_erased && store_one(connection, numbers, row, table, &mut totals)?;
        if row.record.exchange.rank() > Rank::Running {
            open_exchanges::close(connection, row.id())?;
        }
        committed.push(if stored { Committed::Stored } else { Committed::Superseded });
    }
    rollup::apply(&totals.sums, connection)?;
    state::add(connection, state::EXCHANGES, totals.exchanges)?;
    state::add(connection, state::CAPTURED_BYTES, totals.captured)?;
    Ok(committed)
}

/// What a batch adds up to.
#[derive(Default)]
struct Totals {
    sums: Changes,
    exchanges: i64,
    captured: i64,
}

/// Writes a record into a table unless one that takes precedence is there; false if so.
fn store_one(
    connection: &Connection,
    numbers: &Numbers,
    row: &Row,
    table: Table,
    totals: &mut Totals,
) -> PortResult<bool> {
    const DOING: &str = "store a record";
    let record = &row.record;
    let exchange = &record.exchange;
    let mut place = Place { detail: numbers.detail(), captured: record.captured, part: record.bucket.part };
    if !columns::insert(connection, table, exchange, place).doing(DOING)? {
        let prior = prior(connection, table, row.id())?;
        if row.precedence() <= precedence(prior.rank, prior.captured, prior.answered) {
            return Ok(false);
        }
        let (replaced, _) = connection
            .prepare_cached(table.select())
            .and_then(|mut select| select.query_row([row.id().as_bytes()], columns::read))
            .doing("read the record to be replaced")?;
        connection
            .prepare_cached(table.delete())
            .and_then(|mut delete| delete.execute([row.id().as_bytes()]))
            .doing("replace a record")?;
        place.detail = prior.detail;
        columns::insert(connection, table, exchange, place).doing(DOING)?;
        if table == Table::Exchange {
            totals.sums.subtract(&Counted::from(&replaced));
            totals.exchanges -= 1;
            totals.captured -= prior.captured;
        }
    }
    columns::insert_detail(connection, place.detail, exchange, &record.heads).doing(DOING)?;
    if table == Table::Exchange {
        totals.sums.add(&Counted::from(exchange));
        totals.exchanges += 1;
        totals.captured += int(record.captured);
        connection
            .prepare_cached("INSERT INTO outbox (number, id) VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute((numbers.outbox(), row.id().as_bytes())))
            .doing("write to the outbox")?;
    }
    Ok(true)
}

struct Prior {
    rank: u8,
    captured: i64,
    detail: i64,
    answered: bool,
}

fn prior(connection: &Connection, table: Table, id: ExchangeId) -> PortResult<Prior> {
    let prior = connection
        .prepare_cached(table.prior())
        .and_then(|mut select| {
            let read = |row: &rusqlite::Row<'_>| {
                Ok(Prior {
                    rank: row.get(0)?,
                    captured: row.get(1)?,
                    detail: row.get(2)?,
                    answered: row.get(3)?,
                })
            };
            select.query_row([id.as_bytes()], read).optional()
        })
        .doing("read the record that is there")?;
    prior.ok_or_else(|| {
        PortError::Permanent(format!("exchange {id} conflicts with a record that is not there"))
    })
}
