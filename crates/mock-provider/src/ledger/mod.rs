//! The ledger: what the mock really received and sent, as a judge for everyone between it and the client.

mod counted;
mod entry;
mod file;
mod record;
mod tally;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::request;
use tokio::sync::Notify;
use verbatim_core::ports::Clock;

pub(crate) use counted::Counted;
pub use entry::{BodyDigest, Digest, Ending, Entry, HeadLines};
use file::LedgerFile;
pub(crate) use record::Record;

/// The header that names an exchange: taken from the request, or made by the mock; always in the response.
pub const ID_HEADER: &str = "x-mock-id";

/// How much of each exchange is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Lengths and hashes.
    Digests,
    /// The headers too.
    Heads,
    /// The bodies too; in memory only.
    Bodies,
}

/// What the ledger keeps, and where.
#[derive(Debug, Clone)]
pub struct LedgerOptions {
    /// How much of each exchange.
    pub detail: Detail,
    /// How many entries stay in memory; older ones are forgotten there, and only counted.
    pub capacity: usize,
    /// A file that gets every entry as a line of JSON, within milliseconds of the exchange's end. It is
    /// emptied at the start.
    pub file: Option<PathBuf>,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self { detail: Detail::Heads, capacity: usize::MAX, file: None }
    }
}

/// Sums over everything that was seen, whether or not it is still kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Requests whose head was received.
    pub begun: u64,
    /// Exchanges that have ended, in whatever way.
    pub ended: u64,
    /// Of these, the ones whose response was written to its end.
    pub completed: u64,
    /// Bytes of request bodies received in exchanges that have ended.
    pub request_bytes: u64,
    /// Bytes of response bodies handed over in exchanges that have ended.
    pub response_bytes: u64,
}

/// The ledger of one mock provider; clones share it, and it outlives the provider.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    detail: Detail,
    capacity: usize,
    clock: Arc<dyn Clock>,
    id_prefix: String,
    begun: AtomicU64,
    ended: AtomicU64,
    completed: AtomicU64,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    stopping: AtomicBool,
    kept: Mutex<Kept>,
    changed: Notify,
    file: Option<LedgerFile>,
}

#[derive(Default)]
struct Kept {
    entries: VecDeque<Slot>,
    /// How many went before the first that is kept.
    forgotten: u64,
    last_of: HashMap<String, u64>,
}

struct Slot {
    entry: Arc<Entry>,
    /// The place of the entry before this one with the same id.
    previous: Option<u64>,
}

impl Ledger {
    pub(crate) fn open(options: &LedgerOptions, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let file = options.file.as_deref().map(LedgerFile::create).transpose()?;
        Ok(Self(Arc::new(Inner {
            detail: options.detail,
            capacity: options.capacity,
            id_prefix: format!("mock-{:x}", clock.now().as_unix_us()),
            clock,
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            request_bytes: AtomicU64::new(0),
            response_bytes: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            kept: Mutex::default(),
            changed: Notify::new(),
            file,
        })))
    }

    /// The kept entries, in the order in which the exchanges ended.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.entries_from(0)
    }

    /// The kept entries from place `from` on, counted from 0 over all exchanges in the order in which they
    /// ended: with `totals().ended` of some moment, those that ended since.
    pub fn entries_from(&self, from: u64) -> Vec<Arc<Entry>> {
        let kept = self.kept();
        let skip = usize::try_from(from.saturating_sub(kept.forgotten)).unwrap_or(usize::MAX);
        kept.entries.iter().skip(skip).map(|slot| slot.entry.clone()).collect()
    }

    /// The last kept entry with this id.
    pub fn by_id(&self, id: &str) -> Option<Arc<Entry>> {
        let kept = self.kept();
        let place = *kept.last_of.get(id)?;
        kept.at(place).map(|slot| slot.entry.clone())
    }

    /// Every kept entry with this id (a repeated call may carry it again), in the order in which they ended.
    pub fn all_by_id(&self, id: &str) -> Vec<Arc<Entry>> {
        let kept = self.kept();
        let mut found = Vec::new();
        let mut next = kept.last_of.get(id).copied();
        while let Some(slot) = next.and_then(|place| kept.at(place)) {
            found.push(slot.entry.clone());
            next = slot.previous;
        }
        found.reverse();
        found
    }

    /// Sums over everything that was seen.
    pub fn totals(&self) -> Totals {
        Totals {
            ended: self.0.ended.load(Ordering::Acquire),
            completed: self.0.completed.load(Ordering::Acquire),
            request_bytes: self.0.request_bytes.load(Ordering::Acquire),
            response_bytes: self.0.response_bytes.load(Ordering::Acquire),
            begun: self.0.begun.load(Ordering::Acquire),
        }
    }

    /// Returns once so many exchanges have ended since the start. Waits for ever if they don't: put a timeout
    /// around it.
    pub async fn wait_for(&self, ended: u64) {
        self.wait_until(|| (self.0.ended.load(Ordering::Acquire) >= ended).then_some(())).await;
    }

    /// Returns once the heads of so many requests were received since the start.
    pub async fn wait_for_begun(&self, begun: u64) {
        self.wait_until(|| (self.0.begun.load(Ordering::Acquire) >= begun).then_some(())).await;
    }

    /// The entry with this id, once its exchange has ended.
    pub async fn wait_for_id(&self, id: &str) -> Arc<Entry> {
        self.wait_until(|| self.by_id(id)).await
    }

    async fn wait_until<T>(&self, condition: impl Fn() -> Option<T>) -> T {
        loop {
            // Registered before the look, so that a change in between is not missed.
            let mut changed = std::pin::pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = condition() {
                return found;
            }
            changed.await;
        }
    }

    /// A request's head is there.
    pub(crate) fn begin(&self, head: &request::Parts) -> Box<Record> {
        let sequence = self.0.begun.fetch_add(1, Ordering::AcqRel) + 1;
        self.0.changed.notify_waiters();
        let id = head.headers.get(ID_HEADER).and_then(|id| id.to_str().ok());
        let id = id.map_or_else(|| format!("{}-{sequence:x}", self.0.id_prefix), str::to_owned);
        // Boxed, because it goes from hand to hand.
        Box::new(Record::begin(self.clone(), sequence, id, self.0.clock.now(), head))
    }

    /// A request's head is there, and the exchange is only to be counted.
    pub(crate) fn begin_counted(&self) -> Counted {
        self.0.begun.fetch_add(1, Ordering::AcqRel);
        self.0.changed.notify_waiters();
        Counted::begin(self.clone())
    }

    fn count_ended(&self, request_bytes: u64, response_bytes: u64, completed: bool) {
        self.0.request_bytes.fetch_add(request_bytes, Ordering::AcqRel);
        self.0.response_bytes.fetch_add(response_bytes, Ordering::AcqRel);
        self.0.completed.fetch_add(u64::from(completed), Ordering::AcqRel);
        self.0.ended.fetch_add(1, Ordering::AcqRel);
        self.0.changed.notify_waiters();
    }

    fn store(&self, entry: Entry) {
        let entry = Arc::new(entry);
        if let Some(file) = &self.0.file {
            file.append(entry.clone());
        }
        let (request_bytes, response_bytes) = (entry.request.bytes, entry.response.bytes);
        let completed = entry.ending == Ending::Completed;
        self.kept().push(entry, self.0.capacity);
        self.count_ended(request_bytes, response_bytes, completed);
    }

    fn detail(&self) -> Detail {
        self.0.detail
    }

    fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }

    /// From now on, whatever ends without a reason of its own ends because the mock stops.
    pub(crate) fn stopping(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    /// Returns once the file has everything. Blocks.
    pub(crate) fn close_file(&self) {
        if let Some(file) = &self.0.file {
            file.close();
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn at(&self, place: u64) -> Option<&Slot> {
        self.entries.get(usize::try_from(place.checked_sub(self.forgotten)?).ok()?)
    }

    fn push(&mut self, entry: Arc<Entry>, capacity: usize) {
        let place = self.forgotten + self.entries.len() as u64;
        let previous = self.last_of.insert(entry.id.clone(), place);
        self.entries.push_back(Slot { entry, previous });
        while self.entries.len() > capacity {
            if let Some(oldest) = self.entries.pop_front()
                && self.last_of.get(&oldest.entry.id) == Some(&self.forgotten)
            {
                self.last_of.remove(&oldest.entry.id);
            }
            self.forgotten += 1;
        }
    }
}
