//! What waits to be written: bounded by bytes, taken in groups.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use verbatim_core::ports::{Message, PortError, PortResult, Sequence};

/// What one permit stands for, in bytes; a message's own weight beside its payload.
const PERMIT_BYTES: usize = 1024;
/// A group is committed at this size, however much waits.
const GROUP_BYTES: usize = 8 << 20;

/// One caller's messages, and where to answer.
pub(crate) struct Request {
    pub(crate) messages: Vec<Message>,
    pub(crate) reply: oneshot::Sender<Vec<PortResult<Sequence>>>,
    bytes: usize,
    /// Room in the queue, held until the answer is known.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// What the thread is to do.
pub(crate) enum Work {
    /// These go together.
    Write(Vec<Request>),
    /// The file at hand may hold only what was purged.
    BeginFile,
}

/// From many callers to one thread.
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    filled: Condvar,
    room: Arc<Semaphore>,
    permits: u32,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Request>,
    begin_file: bool,
    closed: bool,
}

pub(crate) fn closed() -> PortError {
    PortError::Transient("the log is closed: nothing is written any more".to_owned())
}

impl Queue {
    /// Takes so many payload bytes, about; those who come when it is full wait.
    pub(crate) fn new(bytes: usize) -> Self {
        let permits = u32::try_from(bytes / PERMIT_BYTES).unwrap_or(u32::MAX).clamp(1, 1 << 28);
        let room = Arc::new(Semaphore::new(permits as usize));
        Self { inner: Mutex::default(), filled: Condvar::new(), room, permits }
    }

    /// Hands messages in; the answer comes once they are durable, or can't be.
    pub(crate) async fn push(&self, messages: Vec<Message>) -> PortResult<Vec<PortResult<Sequence>>> {
        let bytes: usize = messages.iter().map(|message| message.payload.len() + PERMIT_BYTES).sum();
        let permits = u32::try_from(bytes / PERMIT_BYTES).unwrap_or(u32::MAX).clamp(1, self.permits);
        let permit = Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| closed())?;
        let (reply, answer) = oneshot::channel();
        {
            let mut inner = self.lock();
            if inner.closed {
                return Err(closed());
            }
            inner.waiting.push_back(Request { messages, reply, bytes, permit });
        }
        self.filled.notify_one();
        answer.await.map_err(|_| closed())
    }

    /// Asks for a new file, once nothing waits.
    pub(crate) fn begin_file(&self) {
        self.lock().begin_file = true;
        self.filled.notify_one();
    }

    /// Nothing comes in any more; what waits is still written.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.filled.notify_one();
    }

    /// Waits for a group to write, and takes it at `not_before` at the earliest; `None`: closed, and all is done.
    pub(crate) fn take(&self, not_before: Instant) -> Option<Work> {
        let mut inner = self.lock();
        loop {
            if inner.waiting.is_empty() {
                if std::mem::take(&mut inner.begin_file) {
                    return Some(Work::BeginFile);
                }
                if inner.closed {
                    return None;
                }
                inner = self.filled.wait(inner).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let early = not_before.saturating_duration_since(Instant::now());
            let full = inner.waiting.iter().map(|request| request.bytes).sum::<usize>() >= GROUP_BYTES;
            if early > Duration::ZERO && !full && !inner.closed {
                inner = self.filled.wait_timeout(inner, early).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            return Some(Work::Write(group(&mut inner.waiting)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn group(waiting: &mut VecDeque<Request>) -> Vec<Request> {
    let mut bytes = 0;
    let count = waiting
        .iter()
        .take_while(|request| {
            let fits = bytes < GROUP_BYTES;
            bytes += request.bytes;
            fits
        })
        .count();
    waiting.drain(..count).collect()
}
