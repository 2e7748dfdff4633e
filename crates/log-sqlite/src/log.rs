//! The log, open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until};
use verbatim_core::ports::{
    CaptureLog, Consumer, DeadLetter, Delivery, Floors, Liveness, LogHealth, Message, PortError, PortResult,
    PullLimit, Sequence,
};

use crate::Config;
use crate::appender::Appender;
use crate::beats::Beats;
use crate::cursor::{Picked, Take, after};
use crate::ledger::{Ledger, Located};
use crate::lock::DirectoryLock;
use crate::measure::Measures;
use crate::queue::{Queue, closed};
use crate::recover::{Damage, recover};
use crate::segment::{Scan, Segment};
use crate::shared::{Shared, delete_purged, keep_house};
use crate::state_file::StateFile;

/// A capture log in a directory of SQLite files.
///
/// [`shutdown`](Self::shutdown) closes it in order. Dropped without that, it stops as after a crash: what was reported
/// durable is there, acknowledgements of the last moments may be lost.
pub struct SqliteLog {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    state: Arc<StateFile>,
    damage: Damage,
    beats: Mutex<Beats>,
    tasks: Mutex<JoinSet<()>>,
    appender: Mutex<Option<JoinHandle<()>>>,
    // Last: nobody else gets in before all of that has ended.
    lock: Mutex<Option<DirectoryLock>>,
}

impl SqliteLog {
    /// Opens the log in a directory, making it when absent, and saves what can be saved of damaged files.
    ///
    /// # Errors
    /// [`PortError::Conflict`]: another process has it open. [`PortError::Permanent`]: the directory can't be written to,
    /// or a newer program wrote it. [`PortError::Transient`]: the system has no memory, disk space or threads left.
    pub async fn open(config: Config) -> PortResult<Self> {
        let opening = spawn_blocking(move || Self::start(config)).await;
        let log = opening.map_err(|error| PortError::transient("opening the log broke off", error))??;
        let housekeeping = log.shared.config.housekeeping.clone().unwrap_or_else(Handle::current);
        let house = keep_house(Arc::clone(&log.shared), Arc::clone(&log.state), Arc::clone(&log.queue));
        log.tasks().spawn_on(house, &housekeeping);
        let appender = Appender::new(Arc::clone(&log.shared), Arc::clone(&log.queue));
        let thread =
            std::thread::Builder::new().name("log appender".to_owned()).spawn(move || appender.run());
        let thread =
            thread.map_err(|error| PortError::transient("could not start the log's writer", error))?;
        *log.appender.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(log)
    }

    fn start(config: Config) -> PortResult<Self> {
        let measures = Measures::new(config.name);
        let recovered = recover(&config, &measures)?;
        let queue = Arc::new(Queue::new(config.queue_bytes));
        Ok(Self {
            shared: Arc::new(Shared::new(config, recovered.ledger, measures)),
            queue,
            state: Arc::new(recovered.state),
            damage: recovered.damage,
            beats: Mutex::default(),
            tasks: Mutex::default(),
            appender: Mutex::default(),
            lock: Mutex::new(Some(recovered.lock)),
        })
    }

    /// What was found broken when it was opened.
    pub fn damage(&self) -> &Damage {
        &self.damage
    }

    /// Dead letters behind a sequence, in order, at most `limit`.
    ///
    /// # Errors
    /// What keeps them from being read.
    pub async fn dead_letters(&self, after: Sequence, limit: usize) -> PortResult<Vec<DeadLetter>> {
        self.state.dead_letters(after, limit).await
    }

    /// Closes the log in order: what waits is written, acknowledgements are kept, waiting pulls end with an error. May
    /// be called again, to no effect.
    ///
    /// # Errors
    /// What kept the acknowledgements from being kept; the log is closed all the same.
    pub async fn shutdown(&self) -> PortResult<()> {
        self.queue.close();
        let mut tasks = std::mem::take(&mut *self.tasks());
        tasks.shutdown().await;
        if let Some(thread) = self.take_appender() {
            join(spawn_blocking(move || thread.join().is_ok()).await.unwrap_or(false));
        }
        let already_closed = {
            let mut ledger = self.shared.ledger();
            let already = ledger.is_closed();
            ledger.close();
            already
        };
        self.shared.changed.notify_waiters();
        if already_closed {
            return Ok(());
        }
        let (position, files) = {
            let mut ledger = self.shared.ledger();
            (ledger.position(), ledger.files())
        };
        let closed = self.state.close(position).await;
        let (shared, in_order) = (Arc::clone(&self.shared), closed.is_ok());
        let closing = spawn_blocking(move || {
            if in_order {
                delete_purged(&shared);
            }
            // Reads that run end first.
            files.iter().for_each(|file| file.close());
        });
        let closing = closing.await;
        let closed =
            closed.and(closing.map_err(|error| PortError::transient("closing the log broke off", error)));
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        closed
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The log's memory, unless it is closed.
    fn open_ledger(&self) -> PortResult<MutexGuard<'_, Ledger>> {
        let ledger = self.shared.ledger();
        if ledger.is_closed() { Err(closed()) } else { Ok(ledger) }
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_appender(&self) -> Option<JoinHandle<()>> {
        self.appender.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn beats(&self) -> MutexGuard<'_, Beats> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of messages that can't be read any more.
    fn lose(&self, damaged: &[Sequence]) {
        let lost = self.shared.ledger().lose(damaged);
        if lost > 0 {
            self.shared.measures.damaged(0, lost);
            tracing::error!(messages = lost, "messages of the log are damaged and lost");
        }
    }

    /// Fetches what was given out. Empty if all of it turns out to be lost.
    async fn deliver(
        &self,
        consumer: Consumer,
        picked: Vec<Picked>,
        located: Located,
    ) -> PortResult<Vec<Delivery>> {
        let mut on_the_way = OnTheWay { shared: &self.shared, consumer, picked };
        // The watch reads who and what, not what was said.
        let payloads = consumer == Consumer::Recorder;
        let mut messages = self.fetch(located, payloads).await?;
        let picked = std::mem::take(&mut on_the_way.picked);
        let delivery = |picked: Picked| {
            let mut message = messages.remove(&picked.sequence)?;
            if !payloads {
                message.payload = Bytes::new();
            }
            Some(Delivery { sequence: picked.sequence, message, redelivered: picked.redelivered })
        };
        Ok(picked.into_iter().filter_map(delivery).collect())
    }

    /// Fetches what is not at hand.
    async fn fetch(&self, located: Located, payloads: bool) -> PortResult<HashMap<Sequence, Message>> {
        let mut messages: HashMap<Sequence, Message> = located.messages.into_iter().collect();
        if !located.in_files.is_empty() {
            let (found, damaged) = blocking(move || read_files(located.in_files, payloads)).await?;
            messages.extend(found);
            self.lose(&damaged);
        }
        Ok(messages)
    }
}

impl Drop for SqliteLog {
    fn drop(&mut self) {
        self.queue.close();
        self.shared.ledger().close();
        self.shared.changed.notify_waiters();
        if let Some(thread) = self.take_appender() {
            join(thread.join().is_ok());
        }
    }
}

fn join(in_order: bool) {
    if !in_order {
        tracing::error!("the log's writer panicked");
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> PortResult<T> + Send + 'static) -> PortResult<T> {
    spawn_blocking(work).await.map_err(|error| PortError::transient("reading the log broke off", error))?
}

type Read = (Vec<(Sequence, Message)>, Vec<Sequence>);

fn read_files(in_files: Vec<(Arc<Segment>, Vec<Sequence>)>, payloads: bool) -> PortResult<Read> {
    let (mut messages, mut damaged) = (Vec::new(), Vec::new());
    for (segment, wanted) in in_files {
        let found = segment.read(&wanted, payloads)?;
        messages.extend(found.messages);
        damaged.extend(found.damaged);
    }
    Ok((messages, damaged))
}

/// Messages that were given out and have not reached the reader; undone unless they do.
struct OnTheWay<'a> {
    shared: &'a Shared,
    consumer: Consumer,
    picked: Vec<Picked>,
}

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        if !self.picked.is_empty() {
            let now = Instant::now();
            self.shared.ledger().change(self.consumer, |cursor| cursor.undo(&self.picked, now));
            self.shared.changed.notify_waiters();
        }
    }
}

#[async_trait]
impl CaptureLog for SqliteLog {
    async fn append(&self, messages: Vec<Message>) -> Vec<PortResult<Sequence>> {
        let count = messages.len();
        if count == 0 {
            return Vec::new();
        }
        match self.queue.push(messages).await {
            Ok(results) => results,
            Err(error) => (0..count).map(|_| Err(PortError::Transient(error.to_string()))).collect(),
        }
    }

    async fn next(&self, consumer: Consumer, limit: PullLimit) -> PortResult<Vec<Delivery>> {
        let give_up = after(Instant::now(), limit.wait);
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = Instant::now();
            let until = after(now, self.shared.config.acknowledgement_wait);
            let take = Take { messages: limit.messages.max(1), bytes: limit.bytes, now, until };
            let (picked, due, located) = {
                let mut ledger = self.open_ledger()?;
                let (picked, due) = ledger.take(consumer, take);
                let located = ledger.locate(picked.iter().map(|picked| picked.sequence));
                (picked, due, located)
            };
            if !picked.is_empty() {
                let deliveries = self.deliver(consumer, picked, located).await?;
                if !deliveries.is_empty() {
                    return Ok(deliveries);
                }
                continue;
            }
            if now >= give_up {
                return Ok(Vec::new());
            }
            tokio::select! {
                () = changed => {}
                () = sleep_until(due.map_or(give_up, |due| due.min(give_up))) => {}
            }
        }
    }

    async fn acknowledge(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()> {
        self.shared.ledger().change(consumer, |cursor| cursor.acknowledge(sequences));
        self.shared.housekeeping.notify_one();
        Ok(())
    }

    async fn progress(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()> {
        let until = after(Instant::now(), self.shared.config.acknowledgement_wait);
        self.shared.ledger().change(consumer, |cursor| cursor.progress(sequences, until));
        Ok(())
    }

    async fn hand_back(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()> {
        let now = Instant::now();
        self.shared.ledger().change(consumer, |cursor| cursor.hand_back(sequences, now));
        self.shared.changed.notify_waiters();
        Ok(())
    }

    async fn read(&self, sequences: &[Sequence]) -> PortResult<Vec<Option<Message>>> {
        let located = self.open_ledger()?.locate(sequences.iter().copied());
        let messages = self.fetch(located, true).await?;
        Ok(sequences.iter().map(|sequence| messages.get(sequence).cloned()).collect())
    }

    async fn scan(
        &self,
        gateway: &str,
        from: Sequence,
        to: Sequence,
        limit: usize,
        bytes: usize,
    ) -> PortResult<Vec<(Sequence, Message)>> {
        let files = self.open_ledger()?.files_between(from, to);
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let (gateway, mut scan) = (gateway.to_owned(), Scan::new(limit, bytes));
        let scanning = move || {
            for (segment, bounds) in files {
                segment.scan(&gateway, bounds, &mut scan)?;
                if scan.is_full() {
                    break;
                }
            }
            Ok(scan)
        };
        let scan = blocking(scanning).await?;
        self.lose(&scan.damaged);
        Ok(scan.messages)
    }

    async fn floors(&self) -> PortResult<Floors> {
        Ok(self.shared.ledger().floors())
    }

    async fn purge(&self, floor: Sequence) -> PortResult<()> {
        self.shared.ledger().purge(floor);
        self.state.save(Arc::clone(&self.shared)).await?;
        // Files go with the next tidying.
        self.shared.housekeeping.notify_one();
        Ok(())
    }

    async fn dead_letter(&self, letters: Vec<DeadLetter>) -> PortResult<()> {
        let count = self.state.add_dead_letters(letters).await?;
        self.shared.ledger().set_dead_letters(count);
        self.shared.housekeeping.notify_one();
        Ok(())
    }

    async fn heartbeat(&self, gateway: &str) -> PortResult<()> {
        self.beats().beat(gateway, Instant::now());
        Ok(())
    }

    async fn liveness(&self, gateway: &str) -> PortResult<Liveness> {
        Ok(self.beats().liveness(gateway))
    }

    async fn health(&self) -> PortResult<LogHealth> {
        let health = self.shared.ledger().health();
        Ok(LogHealth { max_bytes: Some(self.shared.config.max_bytes), ..health })
    }
}
