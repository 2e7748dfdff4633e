//! Opening a directory: what is there, what is broken, where to go on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use verbatim_core::ports::{PortError, PortResult, Sequence};

use crate::Config;
use crate::ledger::{Kept, Ledger};
use crate::lock::DirectoryLock;
use crate::measure::Measures;
use crate::salvage::{finish_earlier, salvage, set_aside};
use crate::segment::{Loaded, SPAN, Segment, first_of, with_companions};
use crate::state_file::{Refused, Remembered, StateFile};

/// What opening found broken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// Files that were set aside; they are left for someone to look at.
    pub set_aside: Vec<PathBuf>,
    /// Messages that were lost, as far as can be told.
    pub lost_messages: u64,
}

/// A directory, ready to go on with.
pub(crate) struct Recovered {
    pub(crate) lock: DirectoryLock,
    pub(crate) state: StateFile,
    pub(crate) ledger: Ledger,
    pub(crate) damage: Damage,
}

/// Opens a directory.
pub(crate) fn recover(config: &Config, measures: &Measures) -> PortResult<Recovered> {
    let directory = &config.directory;
    let failed = |error| {
        PortError::permanent(format_args!("could not open the log in {}", directory.display()), error)
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let lock = DirectoryLock::take(directory)?;
    let mut damage = Damage::default();
    let (state, remembered) = open_state(&directory.join("state.db"), &mut damage)?;
    finish_earlier(directory).map_err(failed)?;
    let firsts = tidy_up(directory, remembered.position.floor).map_err(failed)?;
    let mut kept = Vec::with_capacity(firsts.len());
    for &first in &firsts {
        kept.push(load(directory, first, expected_end(first, &firsts, &remembered), &mut damage)?);
    }
    let next = next_sequence(&kept, &remembered, &damage);
    measures.damaged(damage.set_aside.len() as u64, damage.lost_messages);
    let mut ledger = Ledger::new(kept, &remembered.position, remembered.dead_letters, config.cache_bytes);
    ledger.skip_to(next);
    Ok(Recovered { lock, state, ledger, damage })
}

fn open_state(path: &Path, damage: &mut Damage) -> PortResult<(StateFile, Remembered)> {
    let why = match StateFile::open(path) {
        Ok(opened) => return Ok(opened),
        Err(Refused::Failed(error)) => return Err(error),
        Err(Refused::Damaged(why)) => why,
    };
    let aside = set_aside(path)?;
    tracing::error!(
        file = %aside.display(), why,
        "how far the log was read is damaged, and set aside: everything it holds is delivered again"
    );
    damage.set_aside.push(aside);
    match StateFile::open(path) {
        Ok((state, fresh)) => Ok((state, Remembered { clean: false, ..fresh })),
        Err(Refused::Failed(error)) => Err(error),
        Err(Refused::Damaged(why)) => {
            Err(PortError::permanent(format_args!("could not make {}", path.display()), why))
        }
    }
}

/// Deletes files that hold only what was purged (never the newest: its name tells which sequences were used) and what
/// a deleted one left behind; gives the first sequences of the others, rising.
fn tidy_up(directory: &Path, floor: Sequence) -> std::io::Result<Vec<Sequence>> {
    let mut firsts = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let orphan = name.strip_suffix("-wal").or_else(|| name.strip_suffix("-shm"));
        if let Some(file) = orphan.filter(|file| first_of(file).is_some() && !directory.join(file).exists()) {
            tracing::debug!(file, "what a deleted log file left behind goes too");
            std::fs::remove_file(directory.join(name))?;
        }
        firsts.extend(first_of(name));
    }
    firsts.sort_unstable();
    let purged = firsts.windows(2).take_while(|pair| pair[1] <= floor).count();
    for first in firsts.drain(..purged) {
        Segment::new(directory, first).delete()?;
    }
    Ok(firsts)
}

/// The sequence after the last that a file should hold, where that is known: the newest before the last that was
/// remembered holds that one.
fn expected_end(first: Sequence, firsts: &[Sequence], remembered: &Remembered) -> Option<Sequence> {
    let last = remembered.position.last;
    let newest = firsts.iter().rev().find(|&&first| first <= last);
    (newest == Some(&first)).then_some(last + 1)
}

fn load(
    directory: &Path,
    first: Sequence,
    expected_end: Option<Sequence>,
    damage: &mut Damage,
) -> PortResult<Kept> {
    let segment = Segment::new(directory, first);
    let why = match segment.load()? {
        Loaded::Sound { contents, finished }
            if finished || expected_end.is_none_or(|end| end <= contents.end()) =>
        {
            let to_write_back = with_companions(segment.path())[1].metadata().map_or(0, |file| file.len());
            return Ok(Kept { segment: Arc::new(segment), contents, to_write_back });
        }
        Loaded::Sound { .. } => "its newest messages are gone".to_owned(),
        Loaded::Damaged(why) => why,
    };
    segment.close();
    let salvaged = salvage(directory, first, expected_end)?;
    let lost = expected_end.map(|end| (end - first).saturating_sub(salvaged.contents.messages()));
    tracing::error!(
        file = %salvaged.set_aside.display(), why, kept = salvaged.contents.messages(), lost,
        "a log file is damaged: what could be read is kept, and the file is set aside"
    );
    damage.set_aside.push(salvaged.set_aside);
    damage.lost_messages += lost.unwrap_or(0);
    Ok(Kept { segment: Arc::new(segment), contents: salvaged.contents, to_write_back: 0 })
}

/// Behind everything that was ever used, and behind the name of every file: one that holds nothing is not begun again,
/// for its writing and its going could not be told apart from the next one's. A log that was not closed in order may
/// have given out sequences that no file tells of any more, but none further than its newest file reaches.
fn next_sequence(kept: &[Kept], remembered: &Remembered, damage: &Damage) -> Sequence {
    match kept.last().map(|newest| newest.contents.first()) {
        Some(newest) if !remembered.clean || !damage.set_aside.is_empty() => newest + SPAN,
        Some(newest) => remembered.position.next.max(newest + 1),
        None => remembered.position.next,
    }
}
