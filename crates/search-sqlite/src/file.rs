//! One file of the index: opening it, and setting it aside when it is damaged.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use verbatim_core::ports::{PortError, PortResult};
use verbatim_sqlite::{Options, Readers, Writer, bytes_on_disk, migrate, open};

use crate::damage::{Watch, is_damage};
use crate::{NOWHERE_ELSE, write};

mod migrations {
    refinery::embed_migrations!("migrations");
}

/// Searches that run side by side.
const READERS: usize = 4;

/// FTS5 gathers postings up to so many bytes before it writes them as one segment: a transaction of some thousand
/// documents stays one, which halves what merging writes.
const HASH_BYTES: u32 = 8 << 20;

/// So many segments of one size are merged at a time, the most that FTS5 allows: few, large merges write least, and a
/// search looks through some more segments for it.
const MERGED_AT_ONCE: u32 = 16;

/// An open file of the index.
pub(crate) struct IndexFile {
    path: PathBuf,
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) watch: Watch,
    /// Whether every record of the archive was, or is waiting to be, written to it when it was opened.
    pub(crate) complete: bool,
}

impl IndexFile {
    /// Opens a file, creating it where it is missing. Blocks its thread.
    pub(crate) fn open(path: &Path) -> PortResult<Self> {
        let options = Options::default();
        let mut connection = open(path, &options)?;
        migrate(&mut connection, path, &migrations::migrations::runner())?;
        let watch = Watch::default();
        let (complete, _) = watch.doing("read the search index", write::state(&connection))?;
        watch.doing("set up the search index", tune(&connection))?;
        Ok(Self {
            path: path.to_owned(),
            writer: Writer::start("search", connection)?,
            readers: Readers::new(path, &options, READERS),
            watch,
            complete,
        })
    }

    /// Writes everything back and closes it; nothing but the file itself is left of it.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    pub(crate) fn bytes(&self) -> u64 {
        bytes_on_disk(&self.path)
    }
}

/// Sets what FTS5 keeps in the file about itself, where it is not so already.
fn tune(connection: &Connection) -> rusqlite::Result<()> {
    for (name, value) in
        [("hashsize", HASH_BYTES), ("automerge", MERGED_AT_ONCE), ("crisismerge", MERGED_AT_ONCE)]
    {
        let have: Option<u32> =
            connection.query_row("SELECT v FROM words_config WHERE k = ?", [name], |row| row.get(0)).ok();
        if have != Some(value) {
            connection.execute("INSERT INTO words (words, rank) VALUES (?, ?)", (name, value))?;
        }
    }
    Ok(())
}

/// Moves a damaged file to `<name>.damaged`, over an older one. Gives whether there was any. Files that are whole, or
/// of a schema that is not known here, stay. Blocks its thread.
pub(crate) fn set_aside_if_damaged(path: &Path) -> PortResult<bool> {
    let damage = path.exists().then(|| probe(path).err().filter(is_damage)).flatten();
    if let Some(error) = &damage {
        tracing::error!(path = %path.display(), %error, "the search index is damaged: it is set aside, to be made anew");
        set_aside(path)?;
    }
    Ok(damage.is_some())
}

/// Moves a file to `<name>.damaged`, over an older one.
pub(crate) fn set_aside(path: &Path) -> PortResult<()> {
    let aside = with_ending(path, ".damaged");
    std::fs::rename(path, &aside)
        .map_err(|error| PortError::transient(format_args!("could not rename {}", path.display()), error))?;
    // What it had not written back belongs to the damaged file alone.
    remove(&with_ending(path, "-wal"))?;
    remove(&with_ending(path, "-shm"))
}

/// Looks where damage shows first: at the schema, at each table's last page, and at the newest postings.
fn probe(path: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    for table in ["doc", "body", "words_data", "words_docsize"] {
        if connection.table_exists(None, table)? {
            connection.query_row(&format!("SELECT max(rowid) FROM {table}"), [], |_| Ok(()))?;
        }
    }
    if connection.table_exists(None, "words")? {
        let newest =
            "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT 1)";
        connection.query_row(newest, [format!("\"{NOWHERE_ELSE}\"")], |_| Ok(()))?;
    }
    Ok(())
}

/// Deletes a file and what SQLite put beside it, where they exist.
pub(crate) fn delete(path: &Path) -> PortResult<()> {
    remove(&with_ending(path, "-wal"))?;
    remove(&with_ending(path, "-shm"))?;
    remove(path)
}

/// Puts a closed file in the place of another closed one. A crash leaves the one or the other.
pub(crate) fn replace(old: &Path, new: &Path) -> PortResult<()> {
    // A closed file has no write-ahead log of its own; one left beside the old must not be taken for the new one's.
    remove(&with_ending(old, "-wal"))?;
    remove(&with_ending(old, "-shm"))?;
    let replaced = std::fs::rename(new, old).and_then(|()| match old.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => std::fs::File::open(directory)?.sync_all(),
        _ => Ok(()),
    });
    replaced.map_err(|error| PortError::transient(format_args!("could not replace {}", old.display()), error))
}

fn remove(path: &Path) -> PortResult<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(PortError::transient(format_args!("could not delete {}", path.display()), error))
        }
        _ => Ok(()),
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
