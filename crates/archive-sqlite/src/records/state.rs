//! How much there is, and how far retention has come.

use rusqlite::{Connection, OptionalExtension, ToSql, params};
use verbatim_archive_format::bucket::Bucket;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::PortResult;
use verbatim_sqlite::Doing;

use crate::bodies::{file_name, of_file};

/// Records in `exchange`.
pub(crate) const EXCHANGES: &str = "exchanges";
/// Bytes of their bodies, before blocks are shared.
pub(crate) const CAPTURED_BYTES: &str = "captured_bytes";
/// Every record up to this id was deleted: none of them comes back, whatever is replayed.
const ERASED_THROUGH: &str = "erased_through";
/// Every bucket below this one was deleted.
const BODIES_FLOOR: &str = "bodies_floor";

pub(crate) fn count(connection: &Connection, name: &str) -> PortResult<u64> {
    let mut select = connection
        .prepare_cached("SELECT value FROM state WHERE name = ?1")
        .doing("read the archive's state")?;
    let value: i64 = select.query_row([name], |row| row.get(0)).doing("read the archive's state")?;
    Ok(u64::try_from(value).unwrap_or(0))
}

pub(crate) fn add(connection: &Connection, name: &str, change: i64) -> PortResult<()> {
    if change != 0 {
        connection
            .prepare_cached("UPDATE state SET value = max(value + ?2, 0) WHERE name = ?1")
            .and_then(|mut update| update.execute(params![name, change]))
            .doing("update the archive's state")?;
    }
    Ok(())
}

pub(crate) fn erased_through(connection: &Connection) -> PortResult<Option<ExchangeId>> {
    let mut select =
        connection.prepare_cached("SELECT value FROM state WHERE name = ?1").doing("read what was erased")?;
    let id: Option<Vec<u8>> =
        select.query_row([ERASED_THROUGH], |row| row.get(0)).optional().doing("read what was erased")?;
    Ok(id.and_then(|id| ExchangeId::try_from(&id[..]).ok()))
}

pub(crate) fn set_erased_through(connection: &Connection, id: ExchangeId) -> PortResult<()> {
    set(connection, ERASED_THROUGH, id.as_bytes())
}

pub(crate) fn bodies_floor(connection: &Connection) -> PortResult<Option<Bucket>> {
    let name: Option<String> = connection
        .query_row("SELECT value FROM state WHERE name = ?1", [BODIES_FLOOR], |row| row.get(0))
        .optional()
        .doing("read which bodies were erased")?;
    // As the name of its file, which it has been since the first version.
    Ok(name.and_then(|name| of_file(&name)))
}

pub(crate) fn set_bodies_floor(connection: &Connection, floor: Bucket) -> PortResult<()> {
    set(connection, BODIES_FLOOR, &file_name(floor))
}

fn set(connection: &Connection, name: &str, value: &dyn ToSql) -> PortResult<()> {
    connection
        .execute("INSERT OR REPLACE INTO state (name, value) VALUES (?1, ?2)", params![name, value])
        .doing("update the archive's state")?;
    Ok(())
}
