//! Where an export goes: a file that is there whole or not at all, or whoever reads a pipe.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

/// What the command line calls standard output.
const STANDARD: &str = "-";

pub(super) fn is_standard(output: &Path) -> bool {
    output == Path::new(STANDARD)
}

/// An output that is being written.
pub(super) enum Output {
    /// Beside the place where it will be once it is whole; gone if it never is. Its owner alone may read it.
    Whole { file: NamedTempFile, place: PathBuf },
    /// As it comes: a pipe, a device, standard output.
    Stream(Box<dyn Write>),
}

/// Whether to go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    All,
    /// The pipe is closed.
    NobodyReads,
}

impl Output {
    pub(super) fn open(output: &Path) -> Result<Self> {
        let doing = || format!("{} can't be written", output.display());
        if is_standard(output) {
            return Ok(Self::Stream(Box::new(io::stdout())));
        }
        // What is neither a file nor to become one can't be put in place.
        let special = std::fs::metadata(output).is_ok_and(|there| !there.is_file());
        if special {
            return Ok(Self::Stream(Box::new(File::options().write(true).open(output).with_context(doing)?)));
        }
        let directory = match output.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let file = tempfile::Builder::new().prefix(".verbatim-export-").tempfile_in(directory);
        Ok(Self::Whole { file: file.with_context(doing)?, place: output.to_owned() })
    }

    pub(super) fn write(&mut self, piece: &[u8]) -> Result<Written> {
        let written = match self {
            Self::Whole { file, .. } => file.write_all(piece),
            Self::Stream(stream) => stream.write_all(piece),
        };
        match written {
            Ok(()) => Ok(Written::All),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Written::NobodyReads),
            Err(error) => Err(error).context("the export can't be written"),
        }
    }

    /// Puts it in its place.
    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::Whole { file, place } => {
                let doing = || format!("{} can't be written", place.display());
                file.as_file().sync_all().with_context(doing)?;
                file.persist(&place).map_err(|error| error.error).with_context(doing)?;
            }
            Self::Stream(mut stream) => match stream.flush() {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    return Err(error).context("the export can't be written");
                }
                _ => {}
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_replaced_only_once_the_new_one_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.csv");
        fs::write(&path, "old").unwrap();
        let mut broken_off = Output::open(&path).unwrap();
        broken_off.write(b"half").unwrap();
        drop(broken_off);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let mut whole = Output::open(&path).unwrap();
        whole.write(b"new").unwrap();
        whole.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_device_stays_what_it_is() {
        let mut output = Output::open(Path::new("/dev/null")).unwrap();
        assert_eq!(output.write(b"x").unwrap(), Written::All);
        output.finish().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
