//! The thread that writes messages: groups of them, each group durable before anyone hears of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use verbatim_core::ports::{Message, PortError, PortResult, Sequence};
use verbatim_sqlite::{bytes_on_disk, classify};

use crate::contents::{MAX_PAYLOAD_BYTES, disk_bytes};
use crate::queue::{Queue, Request, Work};
use crate::segment::{SPAN, Segment, Writing, is_damage};
use crate::shared::Shared;

/// Free space is asked for so often at most.
const FREE_SPACE_CHECK: Duration = Duration::from_millis(500);

/// What the thread owns.
pub(crate) struct Appender {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    active: Option<Active>,
    free: FreeSpace,
}

/// The file that is written to.
struct Active {
    segment: Arc<Segment>,
    writing: Writing,
}

/// What becomes of one message of a group.
enum Verdict {
    /// It is the group's n-th.
    Taken(u64),
    Refused(PortError),
}

impl Appender {
    /// Writes to a new file, which is made when the first message comes.
    pub(crate) fn new(shared: Arc<Shared>, queue: Arc<Queue>) -> Self {
        let config = &shared.config;
        let free = FreeSpace::new(config.directory.clone(), config.keep_free_bytes);
        Self { shared, queue, active: None, free }
    }

    /// Until the queue is closed.
    pub(crate) fn run(mut self) {
        // Whoever waits for a thread that is gone hears so.
        let _closing = CloseOnDrop(Arc::clone(&self.queue));
        let mut not_before = Instant::now();
        while let Some(work) = self.queue.take(not_before) {
            match work {
                Work::Write(requests) => {
                    not_before = Instant::now() + self.shared.config.commit_interval;
                    self.write(requests);
                }
                Work::BeginFile => self.replace_spent_file(),
            }
        }
        self.replace_spent_file();
        self.finish_file();
    }

    fn write(&mut self, requests: Vec<Request>) {
        let mut group = Vec::new();
        let mut replies = Vec::with_capacity(requests.len());
        let full = self.free.is_short();
        let mut taken = self.shared.ledger().disk_bytes();
        for Request { messages, reply, permit, .. } in requests {
            let mut verdicts = Vec::with_capacity(messages.len());
            for message in messages {
                let refused = full.clone().map(PortError::Transient).or_else(|| self.refuse(&message, taken));
                verdicts.push(match refused {
                    Some(error) => Verdict::Refused(error),
                    None => {
                        taken += disk_bytes(message.payload.len());
                        group.push(message);
                        Verdict::Taken(group.len() as u64 - 1)
                    }
                });
            }
            replies.push((reply, verdicts, permit));
        }
        let written = if group.is_empty() { Ok(0) } else { self.commit(group) };
        for (reply, verdicts, _permit) in replies {
            let answers = verdicts.into_iter().map(|verdict| match (verdict, &written) {
                (Verdict::Refused(error), _) => Err(error),
                (Verdict::Taken(place), Ok(first)) => Ok(first + place),
                (Verdict::Taken(_), Err(error)) => Err(PortError::Transient(error.to_string())),
            });
            // Whoever asked may have left.
            let _ = reply.send(answers.collect());
        }
    }

    /// Why there is no room for a message when so many bytes are taken, if there is none.
    fn refuse(&self, message: &Message, taken: u64) -> Option<PortError> {
        let max_bytes = self.shared.config.max_bytes;
        let bytes = message.payload.len();
        if bytes > MAX_PAYLOAD_BYTES || disk_bytes(bytes) > max_bytes {
            let most = max_bytes.min(MAX_PAYLOAD_BYTES as u64);
            return Some(PortError::Permanent(format!(
                "a message of {bytes} bytes never fits the log, which takes {most}: split it, or raise its limit"
            )));
        }
        (taken + disk_bytes(bytes) > max_bytes).then(|| {
            PortError::Transient(format!(
                "the log is full: it takes {max_bytes} bytes and has {taken}; there is room again once what is \
                 read is purged"
            ))
        })
    }

    /// Writes a group; gives its first sequence.
    fn commit(&mut self, group: Vec<Message>) -> PortResult<Sequence> {
        let began = Instant::now();
        let (first, count) = (self.shared.ledger().next_sequence(), group.len() as u64);
        let writing = self.active_file(first, count)?;
        if let Err(error) = writing.write((first..).zip(&group)) {
            let stuck = writing.is_stuck();
            tracing::warn!(%error, messages = count, "a group of messages could not be written");
            if stuck || is_damage(&error) {
                self.abandon_file();
            }
            return Err(classify("could not write to the log", &error));
        }
        let bytes = group.iter().map(|message| message.payload.len() as u64).sum();
        self.shared.ledger().publish(first, group);
        self.shared.changed.notify_waiters();
        self.shared.housekeeping.notify_one();
        self.shared.measures.appended(count, bytes, began.elapsed());
        Ok(first)
    }

    /// The file to write so many messages to.
    fn active_file(&mut self, first: Sequence, count: u64) -> PortResult<&mut Writing> {
        let limit = self.shared.config.segment_limit();
        if self.active.is_some() {
            let ledger = self.shared.ledger();
            let is_full = ledger
                .active_contents()
                .is_none_or(|active| active.disk_bytes() >= limit || first + count > active.first() + SPAN);
            drop(ledger);
            if is_full {
                self.finish_file();
            }
        }
        match self.active {
            Some(ref mut active) => Ok(&mut active.writing),
            None => self.begin_file(first),
        }
    }

    fn begin_file(&mut self, first: Sequence) -> PortResult<&mut Writing> {
        let segment = Arc::new(Segment::new(&self.shared.config.directory, first));
        let writing = segment.create(self.shared.config.segment_limit())?;
        self.shared.ledger().begin_file(Arc::clone(&segment));
        Ok(&mut self.active.insert(Active { segment, writing }).writing)
    }

    /// Begins the next file where the newest takes room for nothing, so that it can go: there is always one whose name
    /// tells which sequences were used.
    fn replace_spent_file(&mut self) {
        if self.shared.spent_file().is_none() {
            return;
        }
        self.finish_file();
        let next = self.shared.ledger().next_sequence();
        if let Err(error) = self.begin_file(next) {
            // The next message tries again, or the next tidying.
            tracing::warn!(%error, "could not begin a log file in place of one that was purged");
            return;
        }
        self.shared.housekeeping.notify_one();
    }

    /// Nothing more is added to the file at hand.
    fn finish_file(&mut self) {
        let Some(mut active) = self.active.take() else { return };
        let contents = self.shared.ledger().active_contents().cloned();
        if let Some(contents) = contents
            && let Err(error) = active.writing.finish(&contents)
        {
            // It is read through at the next start, that is all.
            tracing::warn!(%error, "could not note what a full log file holds");
        }
        let bytes = bytes_on_disk(active.segment.path());
        active.segment.keep(active.writing);
        self.shared.ledger().end_file(bytes);
    }

    /// The file at hand can't be written to any more; what it holds may still be read.
    fn abandon_file(&mut self) {
        if let Some(active) = self.active.take() {
            self.shared.measures.damaged(1, 0);
            self.shared.ledger().end_file(0);
            tracing::error!(file = %active.segment.path().display(), "a log file is damaged: the next one begins");
            // Behind anything that it may hold unseen.
            self.shared.ledger().skip_to(active.segment.first + SPAN);
        }
    }
}

struct CloseOnDrop(Arc<Queue>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Whether the disk has room, asked now and then.
struct FreeSpace {
    directory: PathBuf,
    keep: u64,
    asked: Option<Instant>,
    short: Option<String>,
}

impl FreeSpace {
    fn new(directory: PathBuf, keep: u64) -> Self {
        Self { directory, keep, asked: None, short: None }
    }

    /// Why nothing may be written now, if so.
    fn is_short(&mut self) -> Option<String> {
        if self.keep > 0 && self.asked.is_none_or(|asked| asked.elapsed() >= FREE_SPACE_CHECK) {
            self.asked = Some(Instant::now());
            // Where it can't be told, writing tells.
            let free = rustix::fs::statvfs(&self.directory)
                .ok()
                .map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
            self.short = free.filter(|&free| free < self.keep).map(|free| {
                format!(
                    "the disk of {} has {free} bytes free, and {} are to stay free: make room",
                    self.directory.display(),
                    self.keep
                )
            });
        }
        self.short.clone()
    }
}
