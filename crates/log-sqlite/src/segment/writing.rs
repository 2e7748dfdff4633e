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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use verbatim_core::model::ExchangeId;
    use verbatim_core::ports::MessageKind;

    use crate::segment::{Loaded, Segment, is_damage};

    use super::*;

    fn messages(count: usize) -> Vec<Message> {
        let payload = Bytes::from(vec![7; 5000]);
        let message = |n: usize| Message {
            kind: MessageKind::Part,
            gateway: format!("gateway {}", n % 3),
            exchange: ExchangeId::mint(),
            payload: payload.clone(),
        };
        (0..count).map(message).collect()
    }

    #[test]
    fn a_disk_that_fills_up_leaves_nothing_half_written_and_takes_the_group_once_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let segment = Segment::new(directory.path(), 1);
        let mut writing = segment.create(1 << 20).unwrap();
        let (few, many) = (messages(3), messages(50));
        writing.write((1..).zip(&few)).unwrap();
        // SQLite answers a full disk and a full file alike.
        writing.connection.pragma_update(None, "max_page_count", 20).unwrap();
        let full = writing.write((4..).zip(&many)).unwrap_err();
        assert_eq!(full.sqlite_error_code(), Some(rusqlite::ErrorCode::DiskFull));
        assert!(!is_damage(&full) && !writing.is_stuck());
        let Loaded::Sound { contents, .. } = segment.load().unwrap() else { panic!("the file is damaged") };
        assert_eq!(contents.messages(), 3);
        writing.connection.pragma_update(None, "max_page_count", 1_000_000).unwrap();
        writing.write((4..).zip(&many)).unwrap();
        let found = segment.read(&[1, 3, 4, 53], true).unwrap();
        let expected = [(1, &few[0]), (3, &few[2]), (4, &many[0]), (53, &many[49])];
        assert_eq!(found.messages, expected.map(|(sequence, message)| (sequence, message.clone())));
    }

    #[test]
    fn a_file_that_was_finished_with_nothing_in_it_and_is_begun_again_shows_what_comes_then() {
        let directory = tempfile::tempdir().unwrap();
        let segment = Segment::new(directory.path(), 1);
        segment.create(1 << 20).unwrap().finish(&Contents::new(1)).unwrap();
        let mut writing = segment.create(1 << 20).unwrap();
        writing.write((1..).zip(&messages(3))).unwrap();
        let Loaded::Sound { contents, finished } = segment.load().unwrap() else {
            panic!("the file is damaged")
        };
        assert_eq!((contents.messages(), finished), (3, false));
    }
}
