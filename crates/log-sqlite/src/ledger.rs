//! What the log knows in memory: which files hold what, how far it was read, the newest messages. Sans-IO.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;
use verbatim_core::ports::{Consumer, Floors, LogHealth, Message, MessageKind, Sequence};

use crate::contents::{Contents, Entry, disk_bytes};
use crate::cursor::{Cursor, Following, Picked, Take};
use crate::recent::Recent;
use crate::segment::Segment;

/// A file with what it holds.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) segment: Arc<Segment>,
    pub(crate) contents: Contents,
    /// Bytes of its write-ahead log that are yet to be written back; 0 while it is written to.
    pub(crate) to_write_back: u64,
}

/// Everything above the purge floor, by file.
#[derive(Debug, Default)]
pub(crate) struct Files {
    kept: VecDeque<Kept>,
    /// Nothing below that is held, whatever the files still hold.
    floor: Sequence,
    last: Sequence,
}

impl Following for Files {
    fn following(&self, kind: MessageKind, from: Sequence) -> Option<(Sequence, Entry)> {
        let from = from.max(self.floor);
        let first = self.kept.partition_point(|kept| kept.contents.end() <= from);
        self.kept
            .range(first..)
            .find_map(|kept| kept.contents.between(from, Sequence::MAX).find(|(_, entry)| entry.kind == kind))
    }

    fn end(&self) -> Sequence {
        self.last + 1
    }
}

impl Files {
    fn at(&self, sequence: Sequence) -> Option<&Kept> {
        let place = self.kept.partition_point(|kept| kept.contents.end() <= sequence);
        self.kept.get(place).filter(|kept| sequence >= self.floor && kept.contents.get(sequence).is_some())
    }

    fn between(&self, from: Sequence, to: Sequence) -> impl Iterator<Item = (Sequence, Entry)> {
        self.kept.iter().flat_map(move |kept| kept.contents.between(from, to))
    }

    fn count(&self, kind: MessageKind, from: Sequence, to: Sequence) -> u64 {
        self.between(from, to).filter(|(_, entry)| entry.kind == kind).count() as u64
    }
}

/// What was last kept on disk of how far the log was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) floor: Sequence,
    pub(crate) last: Sequence,
    /// The next message's sequence, while nothing is written any more.
    pub(crate) next: Sequence,
    /// Where the messages begin that the recorder never got, and its unacknowledged deliveries.
    pub(crate) recorder: (Sequence, Vec<u8>),
    /// The same for the watch.
    pub(crate) watch: (Sequence, Vec<u8>),
}

/// The log's memory.
#[derive(Debug)]
pub(crate) struct Ledger {
    files: Files,
    recorder: Cursor,
    watch: Cursor,
    recent: Recent,
    /// The next message's sequence: behind every one that was ever used.
    next: Sequence,
    /// Messages above the floor, and their payload bytes.
    messages: u64,
    bytes: u64,
    /// Bytes that the files take, about: what was purged counts until its file goes.
    disk_bytes: u64,
    /// `end`s that were never given out.
    new_ends: u64,
    dead_letters: u64,
    /// Whether there is something that [`Position`] does not tell yet.
    dirty: bool,
    closed: bool,
}

/// Where messages are to be read from.
#[derive(Debug, Default)]
pub(crate) struct Located {
    /// At hand.
    pub(crate) messages: Vec<(Sequence, Message)>,
    /// In these files, in rising order.
    pub(crate) in_files: Vec<(Arc<Segment>, Vec<Sequence>)>,
}

impl Ledger {
    /// The memory of files in rising order, read as far as `position` tells.
    pub(crate) fn new(kept: Vec<Kept>, position: &Position, dead_letters: u64, cache_bytes: usize) -> Self {
        let last = kept.iter().map(|kept| kept.contents.end() - 1).max().unwrap_or(0).max(position.last);
        let files = Files { kept: kept.into(), floor: position.floor, last };
        let cursor =
            |consumer, (position, given): &(Sequence, Vec<u8>)| Cursor::decode(consumer, *position, given);
        let recorder = cursor(Consumer::Recorder, &position.recorder);
        let held = || files.between(files.floor, Sequence::MAX);
        let mut ledger = Self {
            recent: Recent::new(cache_bytes),
            next: position.next.max(last + 1),
            messages: held().count() as u64,
            bytes: held().map(|(_, entry)| entry.bytes as u64).sum(),
            disk_bytes: files.kept.iter().map(|kept| kept.contents.disk_bytes()).sum(),
            new_ends: files.count(MessageKind::End, recorder.position().max(files.floor), Sequence::MAX),
            recorder,
            watch: cursor(Consumer::Watch, &position.watch),
            dead_letters,
            dirty: false,
            closed: false,
            files,
        };
        let floor = ledger.files.floor;
        ledger.recorder.purge(floor);
        ledger.watch.purge(floor);
        ledger
    }

    /// Takes note of a new file that is written to from now on; in place of one of that name, where nothing was written.
    pub(crate) fn begin_file(&mut self, segment: Arc<Segment>) {
        if self.files.kept.back().is_some_and(|newest| newest.segment.first == segment.first) {
            self.files.kept.pop_back();
        }
        let contents = Contents::new(segment.first);
        self.files.kept.push_back(Kept { segment, contents, to_write_back: 0 });
    }

    /// The next message's sequence.
    pub(crate) fn next_sequence(&self) -> Sequence {
        self.next
    }

    /// Takes note that every sequence below may have been used.
    pub(crate) fn skip_to(&mut self, next: Sequence) {
        self.next = self.next.max(next);
    }

    /// Takes note that the newest file is full, with so many bytes to be written back.
    pub(crate) fn end_file(&mut self, to_write_back: u64) {
        if let Some(newest) = self.files.kept.back_mut() {
            newest.to_write_back = to_write_back;
        }
    }

    /// Takes note of messages that are durable in the newest file.
    pub(crate) fn publish(&mut self, first: Sequence, messages: Vec<Message>) {
        let Some(active) = self.files.kept.back_mut() else { return };
        self.disk_bytes -= active.contents.disk_bytes();
        for (message, sequence) in messages.into_iter().zip(first..) {
            active.contents.push(sequence, message.kind, message.payload.len());
            self.messages += 1;
            self.bytes += message.payload.len() as u64;
            self.new_ends += u64::from(message.kind == MessageKind::End);
            self.recent.push(sequence, message);
            self.files.last = sequence;
        }
        self.disk_bytes += active.contents.disk_bytes();
        self.next = self.files.end();
        self.dirty = true;
    }

    /// What the newest file holds.
    pub(crate) fn active_contents(&self) -> Option<&Contents> {
        self.files.kept.back().map(|kept| &kept.contents)
    }

    /// Gives out messages; otherwise tells when something comes back.
    pub(crate) fn take(&mut self, consumer: Consumer, take: Take) -> (Vec<Picked>, Option<Instant>) {
        let (cursor, files) = self.cursor(consumer);
        let before = cursor.position();
        let picked = cursor.take(files, take);
        let due = cursor.due();
        if consumer == Consumer::Recorder {
            self.new_ends -= picked.iter().filter(|picked| picked.sequence >= before).count() as u64;
        }
        self.dirty |= !picked.is_empty();
        (picked, due)
    }

    /// Changes what a reader has in its hands.
    pub(crate) fn change(&mut self, consumer: Consumer, change: impl FnOnce(&mut Cursor)) {
        change(self.cursor(consumer).0);
        self.dirty = true;
    }

    /// Where to find messages. What is not held is left out.
    pub(crate) fn locate(&self, sequences: impl IntoIterator<Item = Sequence>) -> Located {
        let mut located = Located::default();
        let mut elsewhere: Vec<Sequence> = Vec::new();
        for sequence in sequences.into_iter().filter(|&sequence| sequence >= self.files.floor) {
            match self.recent.get(sequence) {
                Some(message) => located.messages.push((sequence, message.clone())),
                None => elsewhere.push(sequence),
            }
        }
        elsewhere.sort_unstable();
        elsewhere.dedup();
        for sequence in elsewhere {
            let Some(kept) = self.files.at(sequence) else { continue };
            match located.in_files.last_mut() {
                Some((segment, wanted)) if segment.first == kept.segment.first => wanted.push(sequence),
                _ => located.in_files.push((Arc::clone(&kept.segment), vec![sequence])),
            }
        }
        located
    }

    /// Every file.
    pub(crate) fn files(&self) -> Vec<Arc<Segment>> {
        self.files.kept.iter().map(|kept| Arc::clone(&kept.segment)).collect()
    }

    /// The files that hold anything between two places (inclusive), with the bounds that hold in each.
    pub(crate) fn files_between(
        &self,
        from: Sequence,
        to: Sequence,
    ) -> Vec<(Arc<Segment>, (Sequence, Sequence))> {
        let from = from.max(self.files.floor);
        self.files
            .kept
            .iter()
            .map(|kept| (kept, (from.max(kept.contents.first()), to.min(kept.contents.end() - 1))))
            .filter(|(_, (from, to))| from <= to)
            .map(|(kept, bounds)| (Arc::clone(&kept.segment), bounds))
            .collect()
    }

    /// Takes note that messages can't be read any more; gives how many those are.
    pub(crate) fn lose(&mut self, sequences: &[Sequence]) -> u64 {
        let mut lost = 0;
        for &sequence in sequences.iter().filter(|&&sequence| sequence >= self.files.floor) {
            let place = self.files.kept.partition_point(|kept| kept.contents.end() <= sequence);
            let Some(entry) = self.files.kept.get_mut(place).and_then(|kept| kept.contents.lose(sequence))
            else {
                continue;
            };
            lost += 1;
            self.messages -= 1;
            self.bytes -= entry.bytes as u64;
            self.disk_bytes -= disk_bytes(entry.bytes);
            if entry.kind == MessageKind::End && sequence >= self.recorder.position() {
                self.new_ends -= 1;
            }
            self.recorder.lose(sequence);
            self.watch.lose(sequence);
        }
        lost
    }

    /// Lets go of everything below a sequence.
    pub(crate) fn purge(&mut self, floor: Sequence) {
        let floor = floor.min(self.files.end());
        if floor <= self.files.floor {
            return;
        }
        let gone = self.files.between(self.files.floor, floor);
        let (messages, bytes) =
            gone.fold((0, 0), |(n, bytes), (_, entry)| (n + 1, bytes + entry.bytes as u64));
        self.new_ends -=
            self.files.count(MessageKind::End, self.recorder.position().max(self.files.floor), floor);
        self.messages -= messages;
        self.bytes -= bytes;
        self.files.floor = floor;
        self.recorder.purge(floor);
        self.watch.purge(floor);
        self.recent.purge(floor);
        self.dirty = true;
    }

    /// The newest file, if it holds only what was purged.
    pub(crate) fn spent_file(&self) -> Option<Arc<Segment>> {
        let newest = self.files.kept.back().filter(|newest| newest.contents.end() <= self.files.floor)?;
        Some(Arc::clone(&newest.segment))
    }

    /// Forgets the files that hold only what was purged, and gives them, to be deleted. The newest stays: its name
    /// tells which sequences were used, even where nothing else does any more.
    pub(crate) fn forget_purged(&mut self) -> Vec<Arc<Segment>> {
        let mut gone = Vec::new();
        while self.files.kept.len() > 1
            && self.files.kept.front().is_some_and(|oldest| oldest.contents.end() <= self.files.floor)
            && let Some(oldest) = self.files.kept.pop_front()
        {
            self.disk_bytes -= oldest.contents.disk_bytes();
            gone.push(oldest.segment);
        }
        gone
    }

    /// The oldest full file whose write-ahead log is to be written back so that all of them stay below `limit` bytes.
    pub(crate) fn next_to_write_back(&mut self, limit: u64) -> Option<Arc<Segment>> {
        let waiting: u64 = self.files.kept.iter().map(|kept| kept.to_write_back).sum();
        let oldest = self.files.kept.iter_mut().find(|kept| kept.to_write_back > 0)?;
        (waiting > limit).then(|| {
            oldest.to_write_back = 0;
            Arc::clone(&oldest.segment)
        })
    }

    pub(crate) fn floors(&mut self) -> Floors {
        let Self { files, recorder, watch, .. } = self;
        Floors { recorder: recorder.floor(files), watch: watch.floor(files), last: files.last }
    }

    pub(crate) fn health(&self) -> LogHealth {
        LogHealth {
            bytes: self.bytes,
            max_bytes: None,
            messages: self.messages,
            ends_pending: self.new_ends + self.recorder.outstanding() as u64,
            dead_letters: self.dead_letters,
        }
    }

    pub(crate) fn set_dead_letters(&mut self, dead_letters: u64) {
        self.dead_letters = dead_letters;
    }

    /// Bytes that the files take, about, less a newest one that holds only what was purged.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let purged = self.active_contents().filter(|newest| newest.end() <= self.files.floor);
        self.disk_bytes - purged.map_or(0, Contents::disk_bytes)
    }

    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// What was taken to be kept could not be.
    pub(crate) fn set_dirty(&mut self) {
        self.dirty = true;
    }

    /// How far it was read, to be kept.
    pub(crate) fn position(&mut self) -> Position {
        self.dirty = false;
        let kept = |cursor: &Cursor| (cursor.position(), cursor.encode());
        Position {
            floor: self.files.floor,
            last: self.files.last,
            next: self.next,
            recorder: kept(&self.recorder),
            watch: kept(&self.watch),
        }
    }

    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    fn cursor(&mut self, consumer: Consumer) -> (&mut Cursor, &Files) {
        let cursor = match consumer {
            Consumer::Recorder => &mut self.recorder,
            Consumer::Watch => &mut self.watch,
        };
        (cursor, &self.files)
    }
}

#[cfg(test)]
mod tests;
