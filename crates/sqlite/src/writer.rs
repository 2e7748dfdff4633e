//! One writer thread a file, with group commit.

mod job;
mod wal;

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use verbatim_core::ports::{PortError, PortResult};

use self::job::{Job, Task, guarded, in_savepoint, stopped};
use self::wal::{WAL_AT_REST, Wal, truncate_wal};
use crate::error::Doing;

/// A transaction takes in further jobs for so long at most; then those that wait hear that theirs is durable.
const GATHERING: Duration = Duration::from_millis(20);
/// And so many at most.
const JOBS_A_TRANSACTION: usize = 512;
/// Jobs that may wait; further callers wait before they hand theirs in.
const QUEUE: usize = 256;
/// Once nothing was written for so long, the write-ahead log is written back and given back to the disk, unless it is
/// small.
const REST_AFTER: Duration = Duration::from_secs(5);

/// The only one that writes a file: a thread that owns its connection and runs jobs in the order they came.
///
/// All jobs that wait go into one transaction, so that one `fsync` makes many durable. Each runs inside a savepoint:
/// one that fails leaves no trace and its neighbours are kept. A job is answered only once its transaction is
/// durable.
///
/// Dropping a writer lets the jobs that wait finish, writes the write-ahead log back and closes the file, on the
/// dropping thread; [`close`](Self::close) does it without blocking one.
pub struct Writer {
    jobs: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    ended: watch::Receiver<()>,
}

enum Message {
    /// In a transaction.
    Inside(Box<dyn Job>),
    /// Between two transactions.
    Between(Box<dyn FnOnce(&mut Connection) + Send>),
    Stop,
}

impl Writer {
    /// Starts the thread. `name` shows in thread lists (15 bytes of it).
    ///
    /// # Errors
    /// [`PortError::Transient`] where the system gives no thread.
    pub fn start(name: &str, connection: Connection) -> PortResult<Self> {
        Self::start_with(name, connection, QUEUE, REST_AFTER)
    }

    fn start_with(
        name: &str,
        connection: Connection,
        queue: usize,
        rest_after: Duration,
    ) -> PortResult<Self> {
        let (jobs, waiting) = mpsc::channel(queue);
        let (alive, ended) = watch::channel(());
        let timer = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|error| {
            PortError::transient(format_args!("could not start the timer of the writer {name}"), error)
        })?;
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                Thread { wal: Wal::of(&connection), connection, waiting, timer, rest_after }.run();
                drop(alive);
            })
            .map_err(|error| {
                PortError::transient(format_args!("could not start the writer {name}"), error)
            })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), ended })
    }

    /// Runs `work` in a transaction and answers once it is durable. `work` runs at most once; it may share its
    /// transaction with other jobs, and what it wrote is undone if it fails.
    ///
    /// # Errors
    /// What `work` gives; or what kept its transaction from being committed.
    pub async fn run<T, F>(&self, work: F) -> PortResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> PortResult<T> + Send + 'static,
    {
        let (job, answer) = Task::with_answer(work);
        self.sender()?.send(Message::Inside(job)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// The same from a thread that may block (never from one that drives async tasks).
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_blocking<T, F>(&self, work: F) -> PortResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> PortResult<T> + Send + 'static,
    {
        let (job, answer) = Task::with_answer(work);
        self.sender()?.blocking_send(Message::Inside(job)).map_err(|_| stopped())?;
        answer.blocking_recv().map_err(|_| stopped())?
    }

    /// Runs `work` between two transactions: for what SQLite refuses inside one.
    ///
    /// # Errors
    /// What `work` gives.
    pub async fn between<T, F>(&self, work: F) -> PortResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> PortResult<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move |connection: &mut Connection| {
            let _ = reply.send(guarded(|| work(connection)));
        });
        self.sender()?.send(Message::Between(job)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Lets the jobs that wait finish, writes the write-ahead log back and closes the file. Jobs handed in later fail.
    pub async fn close(&self) {
        if let Ok(jobs) = self.sender() {
            // Fails only where the thread has ended already.
            let _ = jobs.send(Message::Stop).await;
        }
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    fn sender(&self) -> PortResult<&mpsc::Sender<Message>> {
        self.jobs.as_ref().ok_or_else(stopped)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a writer thread panicked");
        }
    }
}

/// What the thread owns.
struct Thread {
    connection: Connection,
    waiting: mpsc::Receiver<Message>,
    wal: Wal,
    /// Tells when it has waited long enough to rest.
    timer: Runtime,
    rest_after: Duration,
}

impl Thread {
    fn run(mut self) {
        let mut held = None;
        while let Some(message) = held.take().or_else(|| self.next()) {
            match message {
                Message::Inside(first) => held = self.transaction(first),
                Message::Between(work) => work(&mut self.connection),
                Message::Stop => break,
            }
        }
        self.waiting.close();
        if let Err(error) = truncate_wal(&self.connection) {
            tracing::warn!(%error, "could not write the write-ahead log back while closing");
        }
    }

    /// Waits for a message; meanwhile, once it has waited for long, the write-ahead log goes.
    fn next(&mut self) -> Option<Message> {
        if let Ok(message) = self.waiting.try_recv() {
            return Some(message);
        }
        while self.wal.bytes() > WAL_AT_REST {
            let (waiting, rest_after) = (&mut self.waiting, self.rest_after);
            match self.timer.block_on(async { timeout(rest_after, waiting.recv()).await }) {
                Ok(message) => return message,
                Err(_) => self.wal.rest(&self.connection),
            }
        }
        self.waiting.blocking_recv()
    }

    /// One transaction with all jobs that wait; gives back the message that ended it, if any.
    fn transaction(&mut self, first: Box<dyn Job>) -> Option<Message> {
        let mut done: Vec<Box<dyn Job>> = Vec::new();
        let (outcome, next) = self.gather(first, &mut done);
        let lost = outcome.err();
        if let Some(error) = &lost {
            tracing::warn!(%error, jobs = done.len(), "a transaction was lost");
        }
        for job in done {
            job.answer(lost.as_ref());
        }
        self.wal.keep_small(&self.connection);
        next
    }

    fn gather(
        &mut self,
        first: Box<dyn Job>,
        done: &mut Vec<Box<dyn Job>>,
    ) -> (PortResult<()>, Option<Message>) {
        let began = Instant::now();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = match transaction.doing("begin to write") {
            Ok(transaction) => transaction,
            Err(error) => {
                done.push(first);
                return (Err(error), None);
            }
        };
        let mut next = Some(Message::Inside(first));
        while let Some(Message::Inside(mut job)) = next {
            let alive = in_savepoint(&transaction, &mut *job);
            done.push(job);
            if let Err(error) = alive {
                return (Err(error), None);
            }
            if done.len() >= JOBS_A_TRANSACTION || began.elapsed() >= GATHERING {
                return (transaction.commit().doing("commit"), None);
            }
            next = self.waiting.try_recv().ok();
        }
        (transaction.commit().doing("commit"), next)
    }
}

#[cfg(test)]
mod tests;
