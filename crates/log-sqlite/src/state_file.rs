//! `state.db`: how far the log was read, and what could not be processed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{DeadLetter, Message, MessageKind, PortError, PortResult, Sequence};
use verbatim_sqlite::{Doing, Options, Writer, open};

use crate::ledger::Position;
use crate::segment::is_damage;
use crate::shared::Shared;

const SCHEMA: u32 = 1;
const CREATE: &str = "
    BEGIN IMMEDIATE;
    -- One row. `next`: the next sequence to be used, if the log was closed in order; 0 while it is open.
    CREATE TABLE log (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        floor INTEGER NOT NULL,
        last INTEGER NOT NULL,
        next INTEGER NOT NULL
    );
    INSERT INTO log VALUES (1, 0, 0, 1);
    -- Where the messages begin that a reader never got, and which of those before are not acknowledged: 8 bytes of
    -- sequence and 4 of deliveries each, little endian.
    CREATE TABLE reader (name TEXT PRIMARY KEY, position INTEGER NOT NULL, given BLOB NOT NULL);
    INSERT INTO reader VALUES ('recorder', 1, x''), ('watch', 1, x'');
    CREATE TABLE dead_letter (
        sequence INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL,
        gateway TEXT NOT NULL,
        exchange BLOB NOT NULL,
        payload BLOB NOT NULL,
        reason TEXT NOT NULL
    );
    PRAGMA user_version = 1;
    COMMIT;";

/// The file, open.
pub(crate) struct StateFile {
    writer: Writer,
}

/// What the file told when it was opened.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    pub(crate) position: Position,
    /// Whether the log was closed in order.
    pub(crate) clean: bool,
    pub(crate) dead_letters: u64,
}

/// Why the file could not be opened.
pub(crate) enum Refused {
    /// It is broken; why.
    Damaged(String),
    /// It may be sound.
    Failed(PortError),
}

impl From<PortError> for Refused {
    fn from(error: PortError) -> Self {
        Self::Failed(error)
    }
}

impl StateFile {
    /// Opens or makes the file, and notes that the log is in use: unless it is closed in order, the next start knows.
    pub(crate) fn open(path: &Path) -> Result<(Self, Remembered), Refused> {
        let exists = path.exists();
        let connection =
            open(path, &Options { cache_bytes: 1 << 20, wal_bytes: 4 << 20, ..Options::default() });
        let connection = connection.map_err(|error| match error {
            // What the system lets us open and SQLite refuses is not a database any more.
            PortError::Permanent(why)
                if exists && std::fs::File::options().write(true).open(path).is_ok() =>
            {
                Refused::Damaged(why)
            }
            error => Refused::Failed(error),
        })?;
        let remembered = prepare(&connection).map_err(|error| match error {
            Unprepared::Newer(version) => Refused::Failed(PortError::Permanent(format!(
                "{} has schema {version}, newer than the {SCHEMA} that this program knows: run the version of \
                 Verbatim that wrote it, or a later one",
                path.display()
            ))),
            Unprepared::Sqlite(error) if is_damage(&error) => Refused::Damaged(error.to_string()),
            Unprepared::Sqlite(error) => {
                Refused::Failed(verbatim_sqlite::classify(format_args!("could not read {}", path.display()), &error))
            }
        })?;
        let writer = Writer::start("log state", connection)?;
        Ok((Self { writer }, remembered))
    }

    /// Keeps how far the log was read. Survives the end of this process, not a loss of power: then a little more is
    /// delivered again.
    pub(crate) async fn save(&self, shared: Arc<Shared>) -> PortResult<()> {
        let save = move |connection: &mut Connection| {
            let doing = "keep how far the log was read";
            if shared.ledger().is_closed() {
                // Another may have it open by now.
                return Ok(());
            }
            // Acknowledgements may get lost, so they need no fsync of their own.
            connection.pragma_update(None, "synchronous", "NORMAL").doing(doing)?;
            let position = shared.ledger().position();
            let saved = connection.transaction().and_then(|transaction| {
                write(&transaction, &Position { next: 0, ..position })?;
                transaction.commit()
            });
            if saved.is_err() {
                shared.ledger().set_dirty();
            }
            saved.and(connection.pragma_update(None, "synchronous", "FULL")).doing(doing)
        };
        self.writer.between(save).await
    }

    /// Keeps how far the log was read, notes that it was closed in order, and closes the file.
    pub(crate) async fn close(&self, position: Position) -> PortResult<()> {
        let noted =
            self.writer.run(move |connection| write(connection, &position).doing("close the log")).await;
        self.writer.close().await;
        noted
    }

    /// Stores dead letters, durably; gives how many there are now.
    pub(crate) async fn add_dead_letters(&self, letters: Vec<DeadLetter>) -> PortResult<u64> {
        self.writer
            .run(move |connection| add_dead_letters(connection, &letters).doing("store a dead letter"))
            .await
    }

    /// Dead letters behind a sequence, in order.
    pub(crate) async fn dead_letters(&self, after: Sequence, limit: usize) -> PortResult<Vec<DeadLetter>> {
        self.writer
            .run(move |connection| read_dead_letters(connection, after, limit).doing("read dead letters"))
            .await
    }
}

enum Unprepared {
    Newer(u32),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Unprepared {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn prepare(connection: &Connection) -> Result<Remembered, Unprepared> {
    match connection.pragma_query_value(None, "user_version", |row| row.get(0))? {
        0 => connection.execute_batch(CREATE)?,
        SCHEMA => {}
        newer => return Err(Unprepared::Newer(newer)),
    }
    let (floor, last, next): (i64, i64, i64) =
        connection.query_row("SELECT floor, last, next FROM log", [], |row| row.try_into())?;
    let mut statement = connection.prepare("SELECT name, position, given FROM reader")?;
    let readers = statement.query_map([], |row| {
        let position: i64 = row.get(1)?;
        Ok((row.get::<_, String>(0)?, (position.cast_unsigned(), row.get(2)?)))
    })?;
    let mut readers: HashMap<String, (Sequence, Vec<u8>)> = readers.collect::<Result<_, _>>()?;
    let mut reader = |name| readers.remove(name).unwrap_or_default();
    let dead_letters = count_dead_letters(connection)?;
    connection.execute("UPDATE log SET next = 0", [])?;
    let position = Position {
        floor: floor.cast_unsigned(),
        last: last.cast_unsigned(),
        next: next.cast_unsigned(),
        recorder: reader("recorder"),
        watch: reader("watch"),
    };
    Ok(Remembered { clean: position.next > 0, position, dead_letters })
}

fn write(connection: &Connection, position: &Position) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE log SET floor = ?1, last = ?2, next = ?3")?.execute((
        position.floor.cast_signed(),
        position.last.cast_signed(),
        position.next.cast_signed(),
    ))?;
    let mut statement =
        connection.prepare_cached("UPDATE reader SET position = ?2, given = ?3 WHERE name = ?1")?;
    for (name, (position, given)) in [("recorder", &position.recorder), ("watch", &position.watch)] {
        statement.execute((name, position.cast_signed(), given))?;
    }
    Ok(())
}

fn count_dead_letters(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .query_row("SELECT count(*) FROM dead_letter", [], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}

fn add_dead_letters(connection: &Connection, letters: &[DeadLetter]) -> rusqlite::Result<u64> {
    // A letter that comes twice is one that was stored before a crash.
    let mut statement =
        connection.prepare_cached("INSERT OR REPLACE INTO dead_letter VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for DeadLetter { sequence, message, reason } in letters {
        statement.execute((
            sequence.cast_signed(),
            message.kind as u8,
            &message.gateway,
            &message.exchange.as_bytes()[..],
            &message.payload[..],
            reason,
        ))?;
    }
    count_dead_letters(connection)
}

fn read_dead_letters(
    connection: &Connection,
    after: Sequence,
    limit: usize,
) -> rusqlite::Result<Vec<DeadLetter>> {
    let mut statement = connection.prepare_cached(
        "SELECT sequence, kind, gateway, exchange, payload, reason FROM dead_letter \
         WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((after.cast_signed(), limit), |row| {
        let (sequence, kind, exchange): (i64, u8, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(3)?);
        let known = MessageKind::from_number(kind).zip(ExchangeId::try_from(exchange.as_slice()).ok());
        let payload: Vec<u8> = row.get(4)?;
        let message = match known {
            Some((kind, exchange)) => {
                Message { kind, gateway: row.get(2)?, exchange, payload: payload.into() }
            }
            None => return Ok(None),
        };
        Ok(Some(DeadLetter { sequence: sequence.cast_unsigned(), message, reason: row.get(5)? }))
    })?;
    rows.filter_map(Result::transpose).collect()
}
