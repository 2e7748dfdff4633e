//! From rows to messages.

use std::collections::HashMap;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row};
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{Message, MessageKind, Sequence};

use super::{Loaded, SPAN};
use crate::contents::Contents;

/// A row that is no message: a damaged page that SQLite took for a good one.
pub(crate) struct Unreadable;

/// A message from its row: sequence, kind, gateway, exchange, payload.
pub(crate) fn message(
    connection: &Connection,
    gateways: &mut HashMap<i64, String>,
    row: &Row<'_>,
) -> rusqlite::Result<Result<Message, Unreadable>> {
    let number: i64 = row.get(2)?;
    let gateway = match gateways.get(&number) {
        Some(name) => name.clone(),
        None => {
            let mut statement = connection.prepare_cached("SELECT name FROM gateway WHERE number = ?1")?;
            let Some(name) = statement.query_row([number], |row| row.get::<_, String>(0)).optional()? else {
                return Ok(Err(Unreadable));
            };
            gateways.insert(number, name.clone());
            name
        }
    };
    let kind = row.get_ref(1)?.as_i64().ok().and_then(|kind| u8::try_from(kind).ok());
    let exchange = row.get_ref(3)?.as_blob().ok().and_then(|bytes| ExchangeId::try_from(bytes).ok());
    let payload = row.get_ref(4)?.as_blob().ok();
    let (Some(kind), Some(exchange), Some(payload)) =
        (kind.and_then(MessageKind::from_number), exchange, payload)
    else {
        return Ok(Err(Unreadable));
    };
    Ok(Ok(Message { kind, gateway, exchange, payload: Bytes::copy_from_slice(payload) }))
}

/// What a file holds, as noted when it was full, or else counted.
pub(super) fn contents(connection: &Connection, first: Sequence) -> rusqlite::Result<Loaded> {
    let noted = connection
        .query_row("SELECT entries FROM contents", [], |row| row.get::<_, Vec<u8>>(0))
        .optional()?;
    if let Some(entries) = noted {
        return Ok(Loaded::Sound { contents: Contents::decode(first, &entries), finished: true });
    }
    let mut contents = Contents::new(first);
    let mut statement =
        connection.prepare("SELECT sequence, kind, length(payload) FROM message ORDER BY sequence")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (sequence, kind, bytes): (i64, u8, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let sequence = sequence.cast_unsigned();
        // Outside of the span a row can only be what a torn page shows.
        if let Some(kind) = MessageKind::from_number(kind).filter(|_| sequence < first + SPAN) {
            contents.push(sequence, kind, usize::try_from(bytes).unwrap_or(0));
        }
    }
    Ok(Loaded::Sound { contents, finished: false })
}
