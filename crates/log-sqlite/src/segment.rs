//! One file of messages, `log-<first sequence>.db`: written by one thread, read by others, deleted whole.

mod rows;
mod scan;
mod writing;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension};
use verbatim_core::ports::{Message, PortError, PortResult, Sequence};
use verbatim_sqlite::{Doing, Options, bytes_on_disk, open};

use crate::contents::Contents;

pub(crate) use rows::message;
pub(crate) use scan::Scan;
pub(crate) use writing::Writing;

use rows::{Unreadable, contents};
use scan::scan_rows;

/// A file's sequences lie within so many of its first: whatever a torn file can't tell, the next one begins behind
/// that, and no sequence is used twice.
pub(crate) const SPAN: u64 = 1 << 20;
const SCHEMA: u32 = 1;
/// A file without tables that takes more than that once had them: they are made before the first message.
const SCHEMA_BYTES: u64 = 128 << 10;
/// Two such pages hold what four of SQLite's default size would, with a third less left empty behind messages of
/// 1.5 KB; larger ones cost more than they save, because every commit writes the last page again.
const PAGE_BYTES: u32 = 8192;

/// Repeatable: the first attempt may have met a full disk, or have been given up before the first message.
const CREATE: &str = "
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS gateway (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE IF NOT EXISTS message (
        sequence INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL,
        gateway INTEGER NOT NULL,
        exchange BLOB NOT NULL,
        payload BLOB NOT NULL
    );
    -- Written once, when nothing more is added: what the file holds.
    CREATE TABLE IF NOT EXISTS contents (entries BLOB NOT NULL);
    DELETE FROM contents;
    PRAGMA user_version = 1;
    COMMIT;";

/// A file of messages, as its readers see it.
pub(crate) struct Segment {
    pub(crate) first: Sequence,
    path: PathBuf,
    reader: Mutex<Reader>,
}

/// What a reader of a file keeps.
#[derive(Default)]
struct Reader {
    connection: Option<Connection>,
    gateways: HashMap<i64, String>,
}

/// What a file turns out to be when it is opened.
pub(crate) enum Loaded {
    /// It holds this; `finished`: nothing was to be added any more.
    Sound { contents: Contents, finished: bool },
    /// It is broken, and why.
    Damaged(String),
}

/// What was read, and what should be there and can't be read.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) messages: Vec<(Sequence, Message)>,
    pub(crate) damaged: Vec<Sequence>,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The file's name.
pub(crate) fn file_name(first: Sequence) -> String {
    // Padded so that a listing is in order.
    format!("log-{first:020}.db")
}

/// The first sequence of a file with this name.
pub(crate) fn first_of(name: &str) -> Option<Sequence> {
    name.strip_prefix("log-")?.strip_suffix(".db")?.parse().ok()
}

/// A file and what SQLite keeps beside it.
pub(crate) fn with_companions(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

fn options(segment_bytes: u64, cache_bytes: u32) -> Options {
    // Written back when it is full, not on the way; this bounds what many small groups make of the log.
    let wal_bytes = segment_bytes.saturating_mul(2).max(1 << 20);
    Options { page_bytes: PAGE_BYTES, cache_bytes, wal_bytes, ..Options::default() }
}

/// Whether an error says that the file itself is broken.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// Opens a file of messages, new or old, so that closing it writes nothing back: its messages may be about to be
/// deleted.
fn connect(path: &Path, segment_bytes: u64, cache_bytes: u32) -> PortResult<Connection> {
    let connection = open(path, &options(segment_bytes, cache_bytes))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).doing("set up a log file")?;
    Ok(connection)
}

impl Segment {
    /// A file that exists. Nothing is opened until it is read.
    pub(crate) fn new(directory: &Path, first: Sequence) -> Self {
        Self { first, path: directory.join(file_name(first)), reader: Mutex::default() }
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file and opens it for writing.
    pub(crate) fn create(&self, segment_bytes: u64) -> PortResult<Writing> {
        let connection = connect(&self.path, segment_bytes, 4 << 20)?;
        // A group is bounded, so it may stay in memory until it is committed; written early it is written twice.
        connection.pragma_update(None, "cache_spill", false).doing("set up a log file")?;
        connection.execute_batch(CREATE).doing(format_args!("make {}", self.path.display()))?;
        Ok(Writing { connection, gateways: HashMap::new() })
    }

    /// What the file holds, or why it can't be told.
    ///
    /// # Errors
    /// What keeps a sound file from being read: no permission, no memory, a newer program's schema.
    pub(crate) fn load(&self) -> PortResult<Loaded> {
        match self.reading(|connection, _| Ok(self.look(connection))) {
            Ok(looked) => looked,
            // What the system lets us open and SQLite refuses is not a database any more.
            Err(PortError::Permanent(why))
                if File::options().read(true).write(true).open(&self.path).is_ok() =>
            {
                Ok(Loaded::Damaged(why))
            }
            Err(error) => Err(error),
        }
    }

    fn look(&self, connection: &Connection) -> PortResult<Loaded> {
        let version = connection.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0));
        let loaded = match version {
            Ok(SCHEMA) => contents(connection, self.first),
            Ok(0) if bytes_on_disk(&self.path) > SCHEMA_BYTES => {
                Ok(Loaded::Damaged("its tables are gone".to_owned()))
            }
            Ok(0) => Ok(Loaded::Sound { contents: Contents::new(self.first), finished: false }),
            Ok(newer) => {
                return Err(PortError::Permanent(format!(
                    "{} has schema {newer}, newer than the {SCHEMA} that this program knows: run the version of \
                     Verbatim that wrote it, or a later one",
                    self.path.display()
                )));
            }
            Err(error) => Err(error),
        };
        loaded.or_else(|error| match is_damage(&error) {
            true => Ok(Loaded::Damaged(error.to_string())),
            false => Err(error).doing(format_args!("read {}", self.path.display())),
        })
    }

    /// Reads messages that should be there by place; `payloads`: with what they say.
    pub(crate) fn read(&self, wanted: &[Sequence], payloads: bool) -> PortResult<Found> {
        self.reading(|connection, gateways| {
            let sql = if payloads {
                "SELECT sequence, kind, gateway, exchange, payload FROM message WHERE sequence = ?1"
            } else {
                "SELECT sequence, kind, gateway, exchange, x'' FROM message WHERE sequence = ?1"
            };
            let mut statement = connection.prepare_cached(sql).doing("read the log")?;
            let mut found = Found::default();
            for &sequence in wanted {
                let row = statement
                    .query_row([sequence.cast_signed()], |row| message(connection, gateways, row))
                    .optional();
                match row {
                    Ok(Some(Ok(message))) => found.messages.push((sequence, message)),
                    Ok(None | Some(Err(Unreadable))) => found.damaged.push(sequence),
                    Err(error) if is_damage(&error) => found.damaged.push(sequence),
                    Err(error) => return Err(error).doing("read the log"),
                }
            }
            Ok(found)
        })
    }

    /// Reads one gateway's messages between two places (inclusive), in order, into `scan`.
    pub(crate) fn scan(
        &self,
        gateway: &str,
        (from, to): (Sequence, Sequence),
        scan: &mut Scan,
    ) -> PortResult<()> {
        self.reading(|connection, gateways| {
            match scan_rows(connection, gateways, gateway, (from, to), scan) {
                Err(error) if is_damage(&error) => Ok(true),
                scanned => scanned.map(|()| false).doing("scan the log"),
            }
        })
        .and_then(|broke_off| match broke_off {
            true => self.scan_one_by_one(gateway, (from, to), scan),
            false => Ok(()),
        })
    }

    /// The same around damage: a broken page takes its own messages with it, no others.
    fn scan_one_by_one(
        &self,
        gateway: &str,
        (from, to): (Sequence, Sequence),
        scan: &mut Scan,
    ) -> PortResult<()> {
        let from = scan.messages.last().map_or(from, |(last, _)| from.max(last + 1));
        for sequence in from..=to {
            let found = self.read(&[sequence], true)?;
            scan.damaged.extend(found.damaged);
            for (sequence, message) in
                found.messages.into_iter().filter(|(_, message)| message.gateway == gateway)
            {
                if !scan.take(sequence, message) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Writes the write-ahead log back into the file, and empties it.
    pub(crate) fn write_back(&self) -> PortResult<()> {
        self.reading(|connection, _| {
            connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
                .doing(format_args!("write {} back", self.path.display()))
        })
    }

    /// Closes the file; it is opened again when it is read.
    pub(crate) fn close(&self) {
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = Reader::default();
    }

    /// Deletes the file. Those that read it right now still can.
    pub(crate) fn delete(&self) -> std::io::Result<()> {
        self.close();
        for file in with_companions(&self.path) {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Goes on reading with the connection that wrote: the write-ahead log needs no reading through.
    pub(crate) fn keep(&self, writing: Writing) {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.connection.is_none() && writing.connection.is_autocommit() {
            writing.connection.set_prepared_statement_cache_capacity(0);
            writing.connection.set_prepared_statement_cache_capacity(8);
            let smaller = writing.connection.pragma_update(None, "cache_size", -256);
            if smaller.and_then(|()| writing.connection.release_memory()).is_ok() {
                reader.connection = Some(writing.connection);
            }
        }
    }

    fn reading<T>(
        &self,
        work: impl FnOnce(&Connection, &mut HashMap<i64, String>) -> PortResult<T>,
    ) -> PortResult<T> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let Reader { connection, gateways } = &mut *reader;
        let connection = match connection {
            Some(connection) => connection,
            None => {
                // Opening would make a file that is gone.
                if !self.path.exists() {
                    let path = self.path.display();
                    return Err(PortError::Transient(format!("{path} is gone: it was purged or moved away")));
                }
                // Small: the system caches the file, and there may be many.
                connection.insert(connect(&self.path, 0, 256 << 10)?)
            }
        };
        work(connection, gateways)
    }
}
