//! Exchanges whose start was seen and whose end is not archived.

use rusqlite::{Connection, Row, params};
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{OpenExchange, PortResult, Sequence};
use verbatim_sqlite::Doing;

pub(crate) fn open(connection: &Connection, exchanges: &[OpenExchange], advance: bool) -> PortResult<()> {
    let mut insert = connection
        .prepare_cached(include_str!("../../queries/open_exchange.sql"))
        .doing("remember open exchanges")?;
    for open in exchanges {
        let sequence = i64::try_from(open.sequence).unwrap_or(i64::MAX);
        let gateway = open.gateway.replace('\0', "\u{fffd}");
        insert
            .execute(params![open.id.as_bytes(), gateway, sequence, advance])
            .doing("remember open exchanges")?;
    }
    Ok(())
}

pub(crate) fn close(connection: &Connection, id: ExchangeId) -> PortResult<()> {
    connection
        .prepare_cached("DELETE FROM open_exchange WHERE id = ?1")
        .and_then(|mut delete| delete.execute([id.as_bytes()]))
        .doing("close an exchange")?;
    Ok(())
}

pub(crate) fn list(
    connection: &Connection,
    after: Option<ExchangeId>,
    limit: usize,
) -> PortResult<Vec<OpenExchange>> {
    let read = |row: &Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get::<_, i64>(2)?));
    let sql = "SELECT id, gateway, sequence FROM open_exchange WHERE id > ?1 ORDER BY id LIMIT ?2";
    let after = after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = connection.prepare_cached(sql).doing("list open exchanges")?;
    let rows = select.query_map(params![after, limit], read).doing("list open exchanges")?;
    let mut open = Vec::new();
    for row in rows {
        let (id, gateway, sequence) = row.doing("list open exchanges")?;
        if let Ok(id) = ExchangeId::try_from(&id[..]) {
            open.push(OpenExchange { id, gateway, sequence: u64::try_from(sequence).unwrap_or(0) });
        }
    }
    Ok(open)
}

pub(crate) fn oldest_sequence(connection: &Connection) -> PortResult<Option<Sequence>> {
    let sequence: Option<i64> = connection
        .query_row("SELECT min(sequence) FROM open_exchange", [], |row| row.get(0))
        .doing("find the oldest open exchange")?;
    Ok(sequence.map(|sequence| u64::try_from(sequence).unwrap_or(0)))
}
