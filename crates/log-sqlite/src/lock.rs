//! One process a directory.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use verbatim_core::ports::{PortError, PortResult};

/// Held as long as it lives; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(directory: &Path) -> PortResult<Self> {
        let doing = || format!("could not lock {}", directory.display());
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(directory.join("lock"))
            .map_err(|error| PortError::permanent(doing(), error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Whoever has it may be writing its number just now.
                let _ = file.read_to_string(&mut holder);
                let holder =
                    holder.trim().parse::<u32>().map_or(String::new(), |pid| format!(" (process {pid})"));
                return Err(PortError::Conflict(format!(
                    "the log in {} is in use by another process{holder}: stop it, or use another data directory",
                    directory.display()
                )));
            }
            Err(error) => return Err(PortError::permanent(doing(), error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| PortError::transient(doing(), error))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_hears_who_was_first_and_gets_in_once_it_left() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::take(directory.path()).unwrap();
        let refused = DirectoryLock::take(directory.path()).unwrap_err();
        let expected = format!("process {}", std::process::id());
        assert!(matches!(&refused, PortError::Conflict(why) if why.contains(&expected)), "{refused}");
        drop(first);
        DirectoryLock::take(directory.path()).unwrap();
    }
}
