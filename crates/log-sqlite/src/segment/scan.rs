//! Reading one gateway's messages, a page at a time.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};
use verbatim_core::ports::{Message, Sequence};

use super::rows::{Unreadable, message};

/// What a scan found so far, and how much more it takes.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) messages: Vec<(Sequence, Message)>,
    pub(crate) damaged: Vec<Sequence>,
    limit: usize,
    bytes: usize,
    full: bool,
}

impl Scan {
    /// At most so many messages and payload bytes, but one message at least.
    pub(crate) fn new(limit: usize, bytes: usize) -> Self {
        Self { messages: Vec::new(), damaged: Vec::new(), limit, bytes, full: limit == 0 }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Takes a message if there is room; false once there is none.
    pub(super) fn take(&mut self, sequence: Sequence, message: Message) -> bool {
        let bytes = message.payload.len();
        self.full = self.full || (bytes > self.bytes && !self.messages.is_empty());
        if !self.full {
            self.bytes = self.bytes.saturating_sub(bytes);
            self.messages.push((sequence, message));
            self.full = self.messages.len() >= self.limit;
        }
        !self.full
    }
}

/// Reads in order, up to the first page that is broken.
pub(super) fn scan_rows(
    connection: &Connection,
    gateways: &mut HashMap<i64, String>,
    gateway: &str,
    (from, to): (Sequence, Sequence),
    scan: &mut Scan,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT number FROM gateway WHERE name = ?1")?;
    let Some(number) = statement.query_row([gateway], |row| row.get::<_, i64>(0)).optional()? else {
        return Ok(());
    };
    let mut statement = connection.prepare_cached(
        "SELECT sequence, kind, gateway, exchange, payload FROM message \
         WHERE sequence BETWEEN ?1 AND ?2 AND gateway = ?3 ORDER BY sequence",
    )?;
    let mut rows = statement.query((from.cast_signed(), to.cast_signed(), number))?;
    while let Some(row) = rows.next()? {
        let sequence = row.get::<_, i64>(0)?.cast_unsigned();
        match message(connection, gateways, row)? {
            Ok(message) => {
                if !scan.take(sequence, message) {
                    break;
                }
            }
            Err(Unreadable) => scan.damaged.push(sequence),
        }
    }
    Ok(())
}
