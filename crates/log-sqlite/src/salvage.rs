//! Saves what can be read of a damaged file into a new one, and sets the damaged one aside.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use verbatim_core::ports::{Message, PortError, PortResult, Sequence};
use verbatim_sqlite::Doing;

use crate::contents::Contents;
use crate::segment::{SPAN, Segment, file_name, message, with_companions};

/// New files are made here, and moved when they are complete.
const WORKSHOP: &str = "salvage";
/// Messages read before they are written, in bytes.
const CHUNK_BYTES: usize = 8 << 20;

/// What came of it.
pub(crate) struct Salvaged {
    /// What could be saved.
    pub(crate) contents: Contents,
    /// Where the damaged file is now.
    pub(crate) set_aside: PathBuf,
}

/// Renames a damaged file, with what SQLite keeps beside it, to one ending in `.damaged`.
pub(crate) fn set_aside(path: &Path) -> PortResult<PathBuf> {
    let renamed = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(".damaged");
        if n > 1 {
            name.push(format!(".{n}"));
        }
        PathBuf::from(name)
    };
    let target = (1..=u32::MAX).map(renamed).find(|target| !target.exists()).unwrap_or_else(|| renamed(1));
    let doing = || format!("could not set {} aside", path.display());
    // The file itself goes last: until then the next start finds it and tries again.
    for (from, to) in with_companions(path).into_iter().zip(with_companions(&target)).rev() {
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(PortError::transient(doing(), error));
            }
            _ => {}
        }
    }
    path.parent().map_or(Ok(()), sync).map_err(|error| PortError::transient(doing(), error))?;
    Ok(target)
}

/// Finishes what a crash broke off: a new file whose damaged one is gone takes its place, others are dropped.
pub(crate) fn finish_earlier(directory: &Path) -> std::io::Result<()> {
    let workshop = directory.join(WORKSHOP);
    let files = match std::fs::read_dir(&workshop) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    for file in files {
        let file = file?;
        let home = directory.join(file.file_name());
        if file.path().extension().is_some_and(|extension| extension == "db") && !home.exists() {
            std::fs::rename(file.path(), home)?;
        }
    }
    std::fs::remove_dir_all(workshop)?;
    sync(directory)
}

/// Saves what can be read. `expected_end`: the sequence after the last that the file should hold, where known.
pub(crate) fn salvage(
    directory: &Path,
    first: Sequence,
    expected_end: Option<Sequence>,
) -> PortResult<Salvaged> {
    let failed = |error| PortError::transient("could not salvage a damaged log file", error);
    let workshop = directory.join(WORKSHOP);
    std::fs::create_dir_all(&workshop).map_err(failed)?;
    let damaged = directory.join(file_name(first));
    let saved = Segment::new(&workshop, first);
    let mut contents = Contents::new(first);
    let mut writing = saved.create(SPAN)?;
    let mut kinds = BTreeMap::new();
    let mut save = |mut chunk: BTreeMap<Sequence, Message>| {
        // A broken tree may show a message twice.
        chunk.retain(|sequence, message| {
            kinds.insert(*sequence, (message.kind, message.payload.len())).is_none()
        });
        writing
            .write(chunk.iter().map(|(&sequence, message)| (sequence, message)))
            .doing("salvage a log file")
    };
    // A file that can't even be opened has nothing to save.
    if let Ok(connection) = open_damaged(&damaged) {
        let mut reading = Reading { connection: &connection, gateways: HashMap::new(), first };
        reading.all(expected_end, &mut save)?;
    }
    for (sequence, (kind, bytes)) in kinds {
        contents.push(sequence, kind, bytes);
    }
    writing.finish(&contents).doing("salvage a log file")?;
    saved.keep(writing);
    saved.write_back()?;
    saved.close();
    let set_aside = set_aside(&damaged)?;
    finish_earlier(directory).map_err(failed)?;
    Ok(Salvaged { contents, set_aside })
}

/// Opens a file that SQLite would rather not, and changes nothing of it.
fn open_damaged(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Without that, nothing can be read of a file that was cut short.
    connection.pragma_update(None, "writable_schema", true)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn sync(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

type Save<'a> = &'a mut dyn FnMut(BTreeMap<Sequence, Message>) -> PortResult<()>;

/// Reads around the damage.
struct Reading<'a> {
    connection: &'a Connection,
    gateways: HashMap<i64, String>,
    first: Sequence,
}

impl Reading<'_> {
    /// Forward up to the damage, backward down to it, then one by one in between: a broken page takes its own messages
    /// with it, and its neighbours only while reading in order.
    fn all(&mut self, expected_end: Option<Sequence>, save: Save<'_>) -> PortResult<()> {
        let limit = self.first + SPAN;
        let forward = self.run("ORDER BY sequence", (self.first, limit), save)?;
        let Some(reached) = forward.broke_off_at else { return Ok(()) };
        let from = reached.map_or(self.first, |last| last + 1);
        let backward = self.run("ORDER BY sequence DESC", (from, limit), save)?;
        let Some(reached) = backward.broke_off_at else { return Ok(()) };
        let to = reached.or(expected_end).unwrap_or(from);
        for sequence in from..to.min(limit) {
            self.run("ORDER BY sequence", (sequence, sequence + 1), save)?;
        }
        Ok(())
    }

    /// Saves the messages from one place to before another, as far as they can be read.
    fn run(&mut self, order: &str, bounds: (Sequence, Sequence), save: Save<'_>) -> PortResult<Run> {
        let sql = format!(
            "SELECT sequence, kind, gateway, exchange, payload FROM message WHERE sequence >= ?1 AND sequence < ?2 {order}"
        );
        let mut chunk = BTreeMap::new();
        let mut bytes = 0;
        let mut last = None;
        let Ok(mut statement) = self.connection.prepare_cached(&sql) else {
            return Ok(Run { broke_off_at: Some(None) });
        };
        let rows = statement.query((bounds.0.cast_signed(), bounds.1.cast_signed()));
        let Ok(mut rows) = rows else { return Ok(Run { broke_off_at: Some(None) }) };
        let broke_off = loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => break false,
                Err(_) => break true,
            };
            let Ok(sequence) = row.get::<_, i64>(0).map(i64::cast_unsigned) else { break true };
            match message(self.connection, &mut self.gateways, row) {
                Ok(Ok(message)) if (bounds.0..bounds.1).contains(&sequence) => {
                    bytes += message.payload.len();
                    chunk.insert(sequence, message);
                }
                Ok(_) => {}
                Err(_) => break true,
            }
            last = Some(sequence);
            if bytes >= CHUNK_BYTES {
                save(std::mem::take(&mut chunk))?;
                bytes = 0;
            }
        };
        save(chunk)?;
        Ok(Run { broke_off_at: broke_off.then_some(last) })
    }
}

struct Run {
    /// Set where reading broke off: the last sequence that could be read, if any.
    broke_off_at: Option<Option<Sequence>>,
}
