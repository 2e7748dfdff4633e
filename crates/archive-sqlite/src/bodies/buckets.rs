//! The files of blocks of one archive.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use verbatim_archive_format::bucket::Bucket;
use verbatim_core::model::Timestamp;
use verbatim_core::ports::{PortError, PortResult};
use verbatim_sqlite::{Options, bytes_on_disk};

use super::file::BlocksFile;

/// So many files are kept open; each has a writer thread and a few readers.
const OPEN_AT_MOST: usize = 4;

/// Opens files of blocks when they are needed, and closes those that were not used for longest. Every method may
/// block its thread.
pub(crate) struct Buckets {
    directory: PathBuf,
    options: Options,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those that have a file.
    there: BTreeSet<Bucket>,
    /// Every bucket below it is deleted, and none below it is made again.
    floor: Option<Bucket>,
    open: HashMap<Bucket, Open>,
    uses: u64,
}

struct Open {
    file: Arc<BlocksFile>,
    last_use: u64,
}

impl Buckets {
    /// The files in `directory`; what was to be deleted below `floor` and still lies there is deleted now.
    pub(crate) fn new(directory: &Path, options: Options, floor: Option<Bucket>) -> PortResult<Self> {
        let failed =
            |error| PortError::transient(format_args!("could not list {}", directory.display()), error);
        let mut there = BTreeSet::new();
        for entry in fs::read_dir(directory).map_err(failed)? {
            there.extend(entry.map_err(failed)?.file_name().to_str().and_then(of_file));
        }
        let state = Mutex::new(State { there, floor, ..State::default() });
        let buckets = Self { directory: directory.to_owned(), options, state };
        if let Some(floor) = floor {
            buckets.delete_below(floor)?;
        }
        Ok(buckets)
    }

    /// The bucket for new bodies of that time; `None` where that week's bodies are deleted already.
    pub(crate) fn for_bodies_of(&self, time: Timestamp) -> Option<Bucket> {
        let week = Bucket::week_of(time);
        let state = self.state();
        let newest =
            state.there.range(Bucket { week, part: 0 }..=Bucket { week, part: u32::MAX }).next_back();
        let bucket = newest.copied().unwrap_or(Bucket { week, part: 0 });
        match state.floor {
            Some(floor) if floor.week > week => None,
            Some(floor) if floor.week == week => Some(bucket.max(floor)),
            _ => Some(bucket),
        }
    }

    /// Whether retention deleted it.
    pub(crate) fn is_deleted(&self, bucket: Bucket) -> bool {
        self.state().floor > Some(bucket)
    }

    /// Those that have a file, oldest first.
    pub(crate) fn all(&self) -> Vec<Bucket> {
        self.state().there.iter().copied().collect()
    }

    /// Opens its file, and makes one where there is none; `None` where retention deleted it.
    pub(crate) fn open(&self, bucket: Bucket) -> PortResult<Option<Arc<BlocksFile>>> {
        let (file, closed) = self.open_or_reuse(bucket)?;
        // Closing waits for a writer thread: not under the lock.
        drop(closed);
        Ok(file)
    }

    fn open_or_reuse(&self, bucket: Bucket) -> PortResult<(Option<Arc<BlocksFile>>, Option<Open>)> {
        let mut state = self.state();
        state.uses += 1;
        let last_use = state.uses;
        if let Some(open) = state.open.get_mut(&bucket) {
            open.last_use = last_use;
            return Ok((Some(Arc::clone(&open.file)), None));
        }
        // Whoever asks just as it is being deleted must not make it anew.
        if state.floor > Some(bucket) {
            return Ok((None, None));
        }
        let file = Arc::new(BlocksFile::open(&self.path(bucket), &self.options)?);
        state.there.insert(bucket);
        state.open.insert(bucket, Open { file: Arc::clone(&file), last_use });
        let oldest = state.open.iter().min_by_key(|(_, open)| open.last_use).map(|(&bucket, _)| bucket);
        let closed = match oldest {
            Some(oldest) if state.open.len() > OPEN_AT_MOST => state.open.remove(&oldest),
            _ => None,
        };
        Ok((Some(file), closed))
    }

    /// Opens its file for reading; `None` where there is none.
    pub(crate) fn existing(&self, bucket: Bucket) -> PortResult<Option<Arc<BlocksFile>>> {
        if !self.state().there.contains(&bucket) {
            return Ok(None);
        }
        self.open(bucket)
    }

    /// From now on, new bodies of that bucket's week go to another file.
    pub(crate) fn begin_part_after(&self, bucket: Bucket) -> PortResult<()> {
        self.open(bucket.next_part()).map(|_| ())
    }

    /// Deletes every file below `floor`, for good; gives the bytes freed.
    pub(crate) fn delete_below(&self, floor: Bucket) -> PortResult<u64> {
        let (gone, closed) = {
            let mut state = self.state();
            state.floor = state.floor.max(Some(floor));
            let gone: Vec<_> = state.there.range(..floor).copied().collect();
            let closed: Vec<_> = gone.iter().filter_map(|bucket| state.open.remove(bucket)).collect();
            (gone, closed)
        };
        // A file's own connections are closed before it goes; a reader that is at it reads on, undisturbed.
        drop(closed);
        let mut freed = 0;
        for bucket in gone {
            let path = self.path(bucket);
            freed += bytes_on_disk(&path);
            remove_database(&path)?;
            self.state().there.remove(&bucket);
        }
        Ok(freed)
    }

    /// Bytes that its file takes on disk.
    pub(crate) fn bytes(&self, bucket: Bucket) -> u64 {
        bytes_on_disk(&self.path(bucket))
    }

    /// Closes every file.
    pub(crate) fn close(&self) {
        let open = std::mem::take(&mut self.state().open);
        drop(open);
    }

    fn path(&self, bucket: Bucket) -> PathBuf {
        self.directory.join(file_name(bucket))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a bucket's file.
pub(crate) fn file_name(bucket: Bucket) -> String {
    format!("blocks-{bucket}.db")
}

/// The bucket whose file has this name.
pub(crate) fn of_file(name: &str) -> Option<Bucket> {
    name.strip_prefix("blocks-")?.strip_suffix(".db")?.parse().ok()
}

/// Removes a database with what SQLite keeps beside it.
fn remove_database(path: &Path) -> PortResult<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let doing = format!("could not delete {}", Path::new(&file).display());
                return Err(PortError::transient(doing, error));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_tells_its_bucket() {
        let bucket = Bucket { week: 2945, part: 12 };
        assert_eq!(of_file(&file_name(bucket)), Some(bucket));
        assert_eq!(of_file("blocks-02945-012.db-wal"), None);
        assert_eq!(of_file("blocks-2945-12.db"), None);
    }
}
