//! Opening a file the one way that is safe and bounded.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::{Access, access};
use verbatim_core::ports::{PortError, PortResult};

/// How a file is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of a page; takes effect when the file is created.
    pub page_bytes: u32,
    /// Bytes of page cache this connection may hold.
    pub cache_bytes: u32,
    /// The write-ahead log is written back once it holds so many bytes, and cut back to that after a burst.
    pub wal_bytes: u64,
    /// How long a statement waits for another connection's lock.
    pub busy_timeout: Duration,
    /// Whether deleted pages can be given back to the disk step by step; takes effect when the file is created.
    pub shrinkable: bool,
    /// Whether statements may change the file.
    pub read_only: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            page_bytes: 4096,
            cache_bytes: 8 << 20,
            wal_bytes: 64 << 20,
            busy_timeout: Duration::from_secs(5),
            shrinkable: false,
            read_only: false,
        }
    }
}

impl Options {
    /// The same for a reader: no changes, a small cache of its own (the system caches the file for all).
    pub fn reading(&self) -> Self {
        Self { read_only: true, cache_bytes: self.cache_bytes.min(1 << 20), ..self.clone() }
    }
}

/// Opens a file, creating it unless `read_only`, in WAL mode with `synchronous=FULL`: what is committed survives a
/// loss of power.
///
/// Memory is bounded by `cache_bytes`: nothing is memory-mapped, because mapped pages count as the process's own and
/// an I/O error under a mapping kills it.
///
/// # Errors
/// [`PortError::Conflict`] where another process holds the file locked; [`PortError::Permanent`] where it cannot be
/// opened at all (no such directory, no permission, not a database); [`PortError::Transient`] where it could be but for
/// something that may pass, such as a lack of file descriptors.
pub fn open(path: &Path, options: &Options) -> PortResult<Connection> {
    prepare(path, options).map_err(|error| explain(path, options, &error))
}

fn prepare(path: &Path, options: &Options) -> rusqlite::Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if !options.read_only {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(options.busy_timeout)?;
    connection.pragma_update(None, "page_size", options.page_bytes)?;
    if options.shrinkable {
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    connection.pragma_update(None, "cache_size", -i64::from(options.cache_bytes >> 10))?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let frames = (options.wal_bytes / u64::from(options.page_bytes.max(512))).max(1);
    connection.pragma_update(None, "wal_autocheckpoint", i64::try_from(frames).unwrap_or(i64::MAX))?;
    let limit = i64::try_from(options.wal_bytes).unwrap_or(i64::MAX);
    connection.pragma_update_and_check(None, "journal_size_limit", limit, |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(64);
    // SQLite would plan a cached statement anew each time it is used, since the values bound to it might make another
    // plan better: a look-up by key takes ten times as long then.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    if options.read_only {
        connection.pragma_update(None, "query_only", true)?;
    }
    Ok(connection)
}

fn explain(file: &Path, options: &Options, error: &rusqlite::Error) -> PortError {
    let path = file.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) if is_openable(file, options) => {
            PortError::transient(format_args!("could not open {path}"), error)
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => PortError::Conflict(format!(
            "{path} is locked by another process: stop it, or use another data directory"
        )),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => {
            PortError::transient(format_args!("could not open {path}"), error)
        }
        _ => PortError::permanent(format_args!("could not open {path}"), error),
    }
}

/// Whether the system would let this user open a file or make it. It is asked without opening: closing a file drops the
/// locks that SQLite has on it in this process.
fn is_openable(path: &Path, options: &Options) -> bool {
    if path.exists() {
        return path.is_file() && access(path, Access::READ_OK | Access::WRITE_OK).is_ok();
    }
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    !options.read_only && access(directory.unwrap_or(Path::new(".")), Access::WRITE_OK).is_ok()
}

/// Bytes that a file and its write-ahead log take on disk; 0 where they do not exist.
pub fn bytes_on_disk(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    [path, Path::new(&log)].iter().filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_in_wal_mode_and_fully_synchronous() {
        let directory = tempfile::tempdir().unwrap();
        let connection = open(&directory.path().join("a.db"), &Options::default()).unwrap();
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
        assert_eq!((mode.as_str(), synchronous), ("wal", 2));
    }

    #[test]
    fn a_reader_changes_nothing_and_creates_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let reading = Options::default().reading();
        assert!(matches!(open(&path, &reading), Err(PortError::Permanent(_))));
        assert!(!path.exists());
        open(&path, &Options::default()).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let reader = open(&path, &reading).unwrap();
        assert!(reader.execute_batch("INSERT INTO t VALUES (1)").is_err());
    }

    #[test]
    fn where_no_file_can_be_made_it_is_refused_for_good() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path().to_owned(), directory.path().join("no/a.db")] {
            assert!(matches!(open(&path, &Options::default()), Err(PortError::Permanent(_))), "{path:?}");
        }
    }

    #[test]
    fn a_file_that_is_held_by_another_is_a_conflict() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let holder = Connection::open(&path).unwrap();
        holder.execute_batch("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE t (x)").unwrap();
        let options = Options { busy_timeout: Duration::from_millis(1), ..Options::default() };
        assert!(matches!(open(&path, &options), Err(PortError::Conflict(_))));
    }

    #[test]
    fn what_is_no_database_is_refused_for_good() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        std::fs::write(&path, vec![7; 8192]).unwrap();
        assert!(matches!(open(&path, &Options::default()), Err(PortError::Permanent(_))));
    }
}
