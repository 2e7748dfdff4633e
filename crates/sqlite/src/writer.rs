//! One writer thread a file, with group commit.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use verbatim_core::ports::{PortError, PortResult};

use crate::error::{Doing, again};

/// A transaction takes in further jobs for so long at most; then those that wait hear that theirs is durable.
const GATHERING: Duration = Duration::from_millis(20);
/// And so many at most.
const JOBS_A_TRANSACTION: usize = 512;
/// Past so many times the size at which the write-ahead log is written back by itself, the writer waits for the
/// readers that keep it from starting over.
const WAL_PATIENCE: u64 = 4;
/// What the write-ahead log may take while nothing is written.
const WAL_AT_REST: u64 = 1 << 20;
/// Readers are waited for so long.
const WAL_WAIT: Duration = Duration::from_millis(200);

/// How a writer works.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// Jobs that may wait; further callers wait before they hand theirs in.
    pub queue: usize,
    /// Added to the thread's nice value (0 to 19), so that recording yields its CPU to the relay. Linux only:
    /// elsewhere it would slow the whole process.
    pub nice: i32,
    /// Once nothing was written for so long, the write-ahead log is written back and given back to the disk, unless it
    /// is small.
    pub rest_after: Duration,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { queue: 256, nice: 0, rest_after: Duration::from_secs(5) }
    }
}

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
    pub fn start(name: &str, connection: Connection, options: &WriterOptions) -> PortResult<Self> {
        let (jobs, waiting) = mpsc::channel(options.queue.max(1));
        let (alive, ended) = watch::channel(());
        let WriterOptions { nice, rest_after, .. } = *options;
        let timer = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|error| {
            PortError::transient(format_args!("could not start the timer of the writer {name}"), error)
        })?;
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                yield_cpu(nice);
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

fn stopped() -> PortError {
    PortError::Transient("the writer is closed: nothing more is written to this file".to_owned())
}

#[cfg(target_os = "linux")]
fn yield_cpu(nice: i32) {
    if nice != 0
        && let Err(error) = rustix::process::nice(nice)
    {
        tracing::debug!(%error, "could not lower a writer's priority");
    }
}

#[cfg(not(target_os = "linux"))]
fn yield_cpu(_nice: i32) {}

/// What a panic carries, as an error: the job is at fault, its neighbours are not.
fn guarded<T>(work: impl FnOnce() -> PortResult<T>) -> PortResult<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let what = panic_text(&*panic);
        tracing::error!(what, "a job panicked");
        Err(PortError::Permanent(format!("a job panicked: {what}")))
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}

/// Work of which the thread knows only whether it failed.
trait Job: Send {
    /// Does the work, inside a savepoint; true if it is to be kept.
    fn work(&mut self, connection: &Connection) -> bool;

    /// Answers whoever waits: with the work's own result, or with why the transaction was lost.
    fn answer(self: Box<Self>, lost: Option<&PortError>);
}

struct Task<T, F> {
    work: Option<F>,
    result: Option<PortResult<T>>,
    reply: oneshot::Sender<PortResult<T>>,
}

impl<T, F> Task<T, F>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> PortResult<T> + Send + 'static,
{
    fn with_answer(work: F) -> (Box<dyn Job>, oneshot::Receiver<PortResult<T>>) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Self { work: Some(work), result: None, reply }), answer)
    }
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> PortResult<T> + Send,
{
    fn work(&mut self, connection: &Connection) -> bool {
        self.result = self.work.take().map(|work| guarded(|| work(connection)));
        matches!(self.result, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, lost: Option<&PortError>) {
        let answer = match (self.result, lost) {
            (Some(Err(error)), _) => Err(error),
            (_, Some(error)) => Err(again(error)),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(stopped()),
        };
        // Whoever asked may have left.
        let _ = self.reply.send(answer);
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

/// Runs a job so that it leaves nothing behind if it fails. An error means that the whole transaction is gone: SQLite
/// itself rolls back on a full disk, an I/O error or a lack of memory.
fn in_savepoint(transaction: &Connection, job: &mut dyn Job) -> PortResult<()> {
    transaction.prepare_cached("SAVEPOINT job").and_then(|mut sql| sql.execute([])).doing("begin a job")?;
    let keep = job.work(transaction);
    if transaction.is_autocommit() {
        return Err(PortError::Transient(
            "SQLite undid the transaction (disk full, I/O error or lack of memory): try again".to_owned(),
        ));
    }
    if !keep {
        let back = transaction.prepare_cached("ROLLBACK TO job").and_then(|mut sql| sql.execute([]));
        back.doing("undo a job")?;
    }
    transaction.prepare_cached("RELEASE job").and_then(|mut sql| sql.execute([])).doing("end a job")?;
    Ok(())
}

/// Watches that readers who overlap for long don't let the write-ahead log grow without bound.
struct Wal {
    file: PathBuf,
    limit: u64,
    /// Waiting for readers is tried again only when the log has grown to this: one that reads for minutes (a backup)
    /// must not slow every commit.
    patient_until: u64,
    busy_timeout: Duration,
}

impl Wal {
    fn of(connection: &Connection) -> Self {
        let pragma = |name: &str| {
            let value = connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            value.ok().and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
        };
        let limit = pragma("journal_size_limit").max(1 << 20).saturating_mul(WAL_PATIENCE);
        Self {
            file: PathBuf::from(format!("{}-wal", connection.path().unwrap_or_default())),
            limit,
            patient_until: limit,
            busy_timeout: Duration::from_millis(pragma("busy_timeout")),
        }
    }

    fn bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |file| file.len())
    }

    /// Cuts it while nothing is written; where readers are in the way, the next rest tries again.
    fn rest(&mut self, connection: &Connection) {
        match self.truncate(connection) {
            Ok(true) => self.patient_until = self.limit,
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "could not write the write-ahead log back at rest"),
        }
    }

    /// False where readers kept it from being done.
    fn truncate(&self, connection: &Connection) -> rusqlite::Result<bool> {
        connection.busy_timeout(WAL_WAIT)?;
        let truncated = truncate_wal(connection);
        connection.busy_timeout(self.busy_timeout)?;
        truncated
    }

    fn keep_small(&mut self, connection: &Connection) {
        let length = self.bytes();
        if length <= self.patient_until {
            return;
        }
        self.patient_until = match self.truncate(connection) {
            Ok(true) => self.limit,
            Ok(false) => {
                tracing::warn!(bytes = length, "long reads keep the write-ahead log from being written back");
                length.saturating_add(self.limit)
            }
            Err(error) => {
                tracing::warn!(%error, bytes = length, "could not write the write-ahead log back");
                length.saturating_add(self.limit)
            }
        };
    }
}

/// Writes the write-ahead log back and cuts it; false where readers kept it from being done.
fn truncate_wal(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        .map(|busy| busy == 0)
}

#[cfg(test)]
mod tests;
