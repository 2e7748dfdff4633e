//! A pool of readers of one file.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::Semaphore;
use verbatim_core::ports::{PortError, PortResult};

use crate::{Doing, Options, open};

/// How many steps of SQLite's machine pass between two looks at whether the caller is still there.
const STEPS_BETWEEN_LOOKS: i32 = 20_000;

/// Readers of one file, opened when first needed. Each read is one short transaction on a blocking thread: a long
/// one would keep the write-ahead log from being written back.
#[derive(Clone)]
pub struct Readers {
    pool: Arc<Pool>,
}

struct Pool {
    path: PathBuf,
    options: Options,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    count: u32,
}

impl Readers {
    /// At most `count` readers at a time; further ones wait.
    pub fn new(path: &Path, options: &Options, count: usize) -> Self {
        Self {
            pool: Arc::new(Pool {
                path: path.to_owned(),
                options: options.reading(),
                idle: Mutex::default(),
                permits: Arc::new(Semaphore::new(count)),
                count: u32::try_from(count).unwrap_or(u32::MAX),
            }),
        }
    }

    /// Runs `work` in a read transaction on a blocking thread. Where the caller stops waiting, the statement that
    /// runs is broken off.
    ///
    /// # Errors
    /// What `work` gives, or what keeps the file from being opened.
    pub async fn run<T, F>(&self, work: F) -> PortResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> PortResult<T> + Send + 'static,
    {
        let pool = Arc::clone(&self.pool);
        let gone = Arc::new(AtomicBool::new(false));
        let _leaving = Leaving(Arc::clone(&gone));
        let permit = Arc::clone(&self.pool.permits)
            .acquire_owned()
            .await
            .map_err(|_| PortError::Transient("the readers of this file are closed".to_owned()))?;
        let read = move || {
            // Held until the connection is back, also where the caller has left.
            let _permit = permit;
            pool.read(Some(gone), work)
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| PortError::transient("a read was broken off", error))?
    }

    /// The same on this thread, which must be one that may block.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_blocking<T>(&self, work: impl FnOnce(&Connection) -> PortResult<T>) -> PortResult<T> {
        self.pool.read(None, work)
    }

    /// Waits for the reads under way and closes every reader: the file may then be moved. Later reads fail.
    pub async fn close(&self) {
        // Fails only where they are closed already.
        if let Ok(_all) = self.pool.permits.acquire_many(self.pool.count).await {
            self.pool.permits.close();
        }
        self.close_idle();
    }

    /// Closes the idle readers; those that read are closed by the pool's end.
    pub fn close_idle(&self) {
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Pool {
    fn read<T>(
        &self,
        gone: Option<Arc<AtomicBool>>,
        work: impl FnOnce(&Connection) -> PortResult<T>,
    ) -> PortResult<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => open(&self.path, &self.options)?,
        };
        let look = gone.map(|gone| move || gone.load(Ordering::Relaxed));
        connection.progress_handler(STEPS_BETWEEN_LOOKS, look).doing("watch a read")?;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Deferred).doing("begin to read")?;
        let result = work(&transaction);
        drop(transaction);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Reads on threads of their own may have opened more.
        if idle.len() < self.count as usize {
            idle.push(connection);
        }
        result
    }
}

/// Tells the reading thread that nobody waits for it any more.
struct Leaving(Arc<AtomicBool>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn reads_run_side_by_side_up_to_the_bound() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        open(&path, &Options::default())
            .unwrap()
            .execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (7)")
            .unwrap();
        let readers = Readers::new(&path, &Options::default(), 2);
        let reads = (0..20).map(|_| {
            readers.run(|connection| {
                connection.query_row("SELECT x FROM t", [], |row| row.get::<_, i64>(0)).doing("read")
            })
        });
        let mut seen = 0;
        for read in reads {
            seen += read.await.unwrap();
        }
        assert_eq!(seen, 140);
        assert!(readers.pool.idle.lock().unwrap().len() <= 2);
    }

    #[tokio::test]
    async fn closing_waits_for_reads_whose_caller_left_and_ends_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        open(&path, &Options::default()).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let readers = Readers::new(&path, &Options::default(), 2);
        let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let slow = readers.run(move |_| {
            let _ = wait.recv();
            end.store(true, Ordering::SeqCst);
            Ok(())
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), slow).await.is_err());
        let (_, sent) = tokio::join!(readers.close(), async { go.send(()) });
        sent.unwrap();
        assert!(ended.load(Ordering::SeqCst));
        assert!(readers.run(|_| Ok(())).await.is_err());
        assert!(readers.pool.idle.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_is_broken_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        open(&path, &Options::default()).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let readers = Readers::new(&path, &Options::default(), 1);
        let (tell, told) = tokio::sync::oneshot::channel();
        let endless = readers.run(move |connection| {
            let sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n";
            let ended: PortResult<i64> =
                connection.query_row(sql, [], |row| row.get(0)).doing("count for ever");
            let _ = tell.send(ended.is_err());
            Ok(())
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), endless).await.is_err());
        assert!(told.await.unwrap());
        readers.run(|_| Ok(())).await.unwrap();
    }
}
