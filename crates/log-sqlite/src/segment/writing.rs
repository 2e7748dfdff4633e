//! Writing to a file: groups of messages, each in one transaction.

use std::collections::HashMap;

use rusqlite::{Connection, TransactionBehavior};
use verbatim_core::ports::{Message, Sequence};

use crate::contents::Contents;

/// The one that writes to a file.
pub(crate) struct Writing {
    pub(super) connection: Connection,
    pub(super) gateways: HashMap<String, i64>,
}

impl Writing {
    /// Writes messages in one transaction; durable when it returns.
    pub(crate) fn write<'a>(
        &mut self,
        messages: impl Iterator<Item = (Sequence, &'a Message)>,
    ) -> rusqlite::Result<()> {
        let Self { connection, gateways } = self;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut new_gateways = HashMap::new();
        {
            let sql = "INSERT INTO message (sequence, kind, gateway, exchange, payload) VALUES (?1, ?2, ?3, ?4, ?5)";
            let mut statement = transaction.prepare_cached(sql)?;
            for (sequence, message) in messages {
                let known =
                    gateways.get(&message.gateway).or_else(|| new_gateways.get(&message.gateway)).copied();
                let gateway = match known {
                    Some(number) => number,
                    None => {
                        transaction.execute("INSERT INTO gateway (name) VALUES (?1)", [&message.gateway])?;
                        let number = transaction.last_insert_rowid();
                        new_gateways.insert(message.gateway.clone(), number);
                        number
                    }
                };
                statement.execute((
                    sequence.cast_signed(),
                    message.kind as u8,
                    gateway,
                    &message.exchange.as_bytes()[..],
                    &message.payload[..],
                ))?;
            }
        }
        transaction.commit()?;
        gateways.extend(new_gateways);
        Ok(())
    }

    /// Notes what the file holds, now that nothing more is added.
    pub(crate) fn finish(&mut self, contents: &Contents) -> rusqlite::Result<()> {
        self.connection.execute("INSERT INTO contents (entries) VALUES (?1)", [contents.encode()])?;
        Ok(())
    }

    /// Whether a transaction is left open by an error.
    pub(crate) fn is_stuck(&self) -> bool {
        !self.connection.is_autocommit()
    }
}
