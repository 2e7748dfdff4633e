//! Sessions that were logged out before their time: a copy of such a cookie opens nothing any more.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Numbers of sessions that were logged out, each with when it would have ended, in Unix seconds. One is added only
/// by who holds a valid session and let go of at its end, so their number is that of a month's logins at most.
#[derive(Debug, Default)]
pub(crate) struct Revoked {
    ends: Mutex<BTreeMap<i64, i64>>,
    file: Option<PathBuf>,
    /// Held while the file is written, so that an older state never replaces a newer one.
    writing: Mutex<()>,
}

impl Revoked {
    /// With what a file remembers; without a file they are remembered until the process ends.
    pub(crate) fn open(file: Option<&Path>) -> io::Result<Self> {
        let mut ends = BTreeMap::new();
        if let Some(file) = file {
            match fs::read_to_string(file) {
                Ok(text) => ends = read(&text)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { ends: Mutex::new(ends), file: file.map(Path::to_owned), writing: Mutex::default() })
    }

    fn ends(&self) -> MutexGuard<'_, BTreeMap<i64, i64>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a session was logged out.
    pub(crate) fn holds(&self, number: i64) -> bool {
        self.ends().contains_key(&number)
    }

    /// Logs a session out. It holds at once; an error says that it does not hold over a restart. Waits for the disk.
    pub(crate) fn add(&self, number: i64, ends: i64, now: i64) -> io::Result<()> {
        {
            let mut all = self.ends();
            all.retain(|_, ends| *ends > now);
            all.insert(number, ends);
        }
        let Some(file) = &self.file else { return Ok(()) };
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: String = self.ends().iter().map(|(number, ends)| format!("{number} {ends}\n")).collect();
        let beside = file.with_extension("new");
        let mut new = private(&beside)?;
        new.write_all(lines.as_bytes())?;
        new.sync_all()?;
        fs::rename(&beside, file)
    }
}

/// A new file, for its owner alone; one that is there is emptied.
fn private(path: &Path) -> io::Result<File> {
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // One that was left behind keeps the mode that it was made with.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

fn read(text: &str) -> io::Result<BTreeMap<i64, i64>> {
    let line = |line: &str| {
        let (number, ends) = line.split_once(' ')?;
        Some((number.parse().ok()?, ends.parse().ok()?))
    };
    text.lines()
        .map(|text| {
            line(text).ok_or_else(|| {
                let message = format!("expected a session's number and end in each line, got {text:?}");
                io::Error::new(io::ErrorKind::InvalidData, message)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_is_forgotten_and_the_rest_outlives_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sessions");
        let revoked = Revoked::open(Some(&file)).unwrap();
        revoked.add(1, 100, 50).unwrap();
        revoked.add(2, 300, 50).unwrap();
        assert!(revoked.holds(1) && revoked.holds(2) && !revoked.holds(3));
        revoked.add(3, 400, 200).unwrap();
        assert!(!revoked.holds(1));
        let again = Revoked::open(Some(&file)).unwrap();
        assert!(!again.holds(1) && again.holds(2) && again.holds(3));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_something_else_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sessions");
        fs::write(&file, "hello\n").unwrap();
        assert!(Revoked::open(Some(&file)).unwrap_err().to_string().contains("hello"));
    }
}
