//! One job of a writer: run, kept or undone, and answered.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;
use tokio::sync::oneshot;
use verbatim_core::ports::{PortError, PortResult};

use crate::error::{Doing, again};

/// What a panic carries, as an error: the job is at fault, its neighbours are not.
pub(super) fn guarded<T>(work: impl FnOnce() -> PortResult<T>) -> PortResult<T> {
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
pub(super) trait Job: Send {
    /// Does the work, inside a savepoint; true if it is to be kept.
    fn work(&mut self, connection: &Connection) -> bool;

    /// Answers whoever waits: with the work's own result, or with why the transaction was lost.
    fn answer(self: Box<Self>, lost: Option<&PortError>);
}

pub(super) struct Task<T, F> {
    work: Option<F>,
    result: Option<PortResult<T>>,
    reply: oneshot::Sender<PortResult<T>>,
}

impl<T, F> Task<T, F>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> PortResult<T> + Send + 'static,
{
    pub(super) fn with_answer(work: F) -> (Box<dyn Job>, oneshot::Receiver<PortResult<T>>) {
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

/// Runs a job so that it leaves nothing behind if it fails. An error means that the whole transaction is gone: SQLite
/// itself rolls back on a full disk, an I/O error or a lack of memory.
pub(super) fn in_savepoint(transaction: &Connection, job: &mut dyn Job) -> PortResult<()> {
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

/// What whoever asks hears once the thread has ended.
pub(super) fn stopped() -> PortError {
    PortError::Transient("the writer is closed: nothing more is written to this file".to_owned())
}
