//! A capture log that fails when a test says so.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use verbatim_core::ports::{
    CaptureLog, Consumer, DeadLetter, Delivery, Floors, Liveness, LogHealth, Message, PortError, PortResult,
    PullLimit, Sequence,
};

use crate::held::Held;

/// What happens to a message that is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it is written.
    None,
    /// It is not written: [`PortError::Transient`].
    Fail,
    /// It is not written: [`PortError::Permanent`].
    Refuse,
    /// The call waits, nothing written, until the fault is another one, and then goes by that one.
    Stall,
    /// It is written after so long.
    Slow(Duration),
    /// It is written, and [`PortError::Transient`] is reported.
    LoseAnswer,
}

type Hits = Arc<dyn Fn(&Message) -> bool + Send + Sync>;

/// Which messages meet which fault, and for how many more calls.
#[derive(Clone)]
struct Plan {
    fault: Fault,
    hits: Hits,
    calls: u64,
}

impl Plan {
    fn new(fault: Fault) -> Self {
        Self { fault, hits: Arc::new(|_| true), calls: u64::MAX }
    }
}

/// Another log, with faults. `append` goes by the plan that was set last; while [`FaultyLog::cut_off`], every other
/// call fails too.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use verbatim_core::ports::MessageKind;
/// # use verbatim_testkit::{Fault, FaultyLog, MemoryLog};
/// let log = FaultyLog::new(Arc::new(MemoryLog::new(Duration::from_secs(60))));
/// log.set(Fault::Fail); // until told otherwise
/// log.set_for_calls(Fault::LoseAnswer, 2); // twice, then none
/// log.set_for_messages(Fault::Stall, |message| message.kind == MessageKind::End);
/// log.recover();
/// ```
pub struct FaultyLog {
    inner: Arc<dyn CaptureLog>,
    plan: Mutex<Plan>,
    changes: watch::Sender<u64>,
    stalled: watch::Sender<u64>,
    cut_off: watch::Sender<bool>,
    written: AtomicU64,
    failed: AtomicU64,
    failed_reads: AtomicU64,
    places_read: AtomicU64,
    held: Arc<Held>,
    dead_letters_to_fail: AtomicU64,
}

impl FaultyLog {
    /// A log without faults, so far.
    pub fn new(inner: Arc<dyn CaptureLog>) -> Self {
        Self {
            inner,
            plan: Mutex::new(Plan::new(Fault::None)),
            changes: watch::Sender::new(0),
            stalled: watch::Sender::new(0),
            cut_off: watch::Sender::new(false),
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            failed_reads: AtomicU64::new(0),
            places_read: AtomicU64::new(0),
            held: Arc::default(),
            dead_letters_to_fail: AtomicU64::new(0),
        }
    }

    /// The next `calls` attempts to store dead letters fail with [`PortError::Transient`].
    pub fn fail_dead_letters(&self, calls: u64) {
        self.dead_letters_to_fail.store(calls, Ordering::SeqCst);
    }

    /// From now on every message meets `fault`; calls that stall go by it too.
    pub fn set(&self, fault: Fault) {
        self.change(Plan::new(fault));
    }

    /// The next `calls` appends meet `fault`, those after them none.
    pub fn set_for_calls(&self, fault: Fault, calls: u64) {
        self.change(Plan { calls, ..Plan::new(fault) });
    }

    /// Messages for which `hits` holds meet `fault`, the others none. A stall or a delay holds up the whole call.
    pub fn set_for_messages(&self, fault: Fault, hits: impl Fn(&Message) -> bool + Send + Sync + 'static) {
        self.change(Plan { hits: Arc::new(hits), ..Plan::new(fault) });
    }

    /// Ends every fault: what stalled goes on, what was cut off is reached again.
    pub fn recover(&self) {
        self.cut_off.send_replace(false);
        self.set(Fault::None);
    }

    /// From now on every call fails with [`PortError::Transient`], as when a log can't be reached; nothing is
    /// written, and `next` fails at once even where it was waiting.
    pub fn cut_off(&self) {
        self.cut_off.send_replace(true);
        self.set(Fault::Fail);
    }

    /// Returns once an append stalls.
    pub async fn stalled(&self) {
        let mut stalled = self.stalled.subscribe();
        // Can't fail: the sender lives in self.
        let _ = stalled.wait_for(|&calls| calls > 0).await;
    }

    /// Messages that reached the log behind, whatever was reported.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Messages reported as failed because of a fault.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }

    /// Calls of `read` that failed because the log was cut off.
    pub fn failed_reads(&self) -> u64 {
        self.failed_reads.load(Ordering::SeqCst)
    }

    /// Places that `read` was asked for.
    pub fn places_read(&self) -> u64 {
        self.places_read.load(Ordering::SeqCst)
    }

    /// The most payload bytes of what `read` gave that were held at once.
    pub fn most_held(&self) -> u64 {
        self.held.most()
    }

    fn change(&self, plan: Plan) {
        *self.plan() = plan;
        self.changes.send_modify(|change| *change += 1);
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plan for one call, which uses up one of its calls.
    async fn meet(&self, messages: &[Message]) -> Plan {
        let mut changes = self.changes.subscribe();
        loop {
            let stalls = {
                let mut plan = self.plan();
                let hit = messages.iter().any(|message| (plan.hits)(message));
                if !hit || plan.calls == 0 {
                    return Plan::new(Fault::None);
                }
                if plan.fault != Fault::Stall {
                    let met = plan.clone();
                    plan.calls = plan.calls.saturating_sub(1);
                    return met;
                }
                changes.mark_unchanged();
                Counted::new(&self.stalled)
            };
            // Can't fail: the sender lives in self.
            let _ = changes.changed().await;
            drop(stalls);
        }
    }

    async fn reach<T>(&self, call: impl Future<Output = PortResult<T>>) -> PortResult<T> {
        let mut cut_off = self.cut_off.subscribe();
        tokio::select! {
            biased;
            _ = cut_off.wait_for(|&cut_off| cut_off) => Err(unreachable_log()),
            answer = call => answer,
        }
    }
}

/// One more in a count, as long as it lives.
struct Counted<'a>(&'a watch::Sender<u64>);

impl<'a> Counted<'a> {
    fn new(count: &'a watch::Sender<u64>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

fn unreachable_log() -> PortError {
    PortError::transient("the log can't be reached", "a fault that the test asked for")
}

impl fmt::Debug for FaultyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyLog").field("fault", &self.plan().fault).finish_non_exhaustive()
    }
}

#[async_trait]
impl CaptureLog for FaultyLog {
    async fn append(&self, messages: Vec<Message>) -> Vec<PortResult<Sequence>> {
        let plan = self.meet(&messages).await;
        if let Fault::Slow(delay) = plan.fault {
            tokio::time::sleep(delay).await;
        }
        let mut answers = Vec::with_capacity(messages.len());
        let mut passed = Vec::with_capacity(messages.len());
        for message in messages {
            let fault = if (plan.hits)(&message) { plan.fault } else { Fault::None };
            let answer = match fault {
                Fault::None | Fault::Slow(_) | Fault::Stall => None,
                Fault::Fail | Fault::LoseAnswer => Some(Err(unreachable_log())),
                Fault::Refuse => Some(Err(PortError::permanent("append", "a fault that the test asked for"))),
            };
            self.failed.fetch_add(u64::from(answer.is_some()), Ordering::SeqCst);
            let passes = answer.is_none() || fault == Fault::LoseAnswer;
            if passes {
                passed.push(message);
            }
            answers.push((passes, answer));
        }
        self.written.fetch_add(u64::try_from(passed.len()).unwrap_or(u64::MAX), Ordering::SeqCst);
        let mut results =
            if passed.is_empty() { Vec::new() } else { self.inner.append(passed).await }.into_iter();
        answers
            .into_iter()
            .map(|(passes, answer)| {
                let real = if passes { results.next() } else { None };
                answer.or(real).unwrap_or_else(|| Err(unreachable_log()))
            })
            .collect()
    }

    async fn next(&self, consumer: Consumer, limit: PullLimit) -> PortResult<Vec<Delivery>> {
        self.reach(self.inner.next(consumer, limit)).await
    }

    async fn acknowledge(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()> {
        self.reach(self.inner.acknowledge(consumer, sequences)).await
    }

    async fn progress(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()> {
        self.reach(self.inner.progress(consumer, sequences)).await
    }

    async fn hand_back(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()> {
        self.reach(self.inner.hand_back(consumer, sequences)).await
    }

    async fn read(&self, sequences: &[Sequence]) -> PortResult<Vec<Option<Message>>> {
        self.places_read.fetch_add(sequences.len() as u64, Ordering::SeqCst);
        let read = self.reach(self.inner.read(sequences)).await;
        self.failed_reads.fetch_add(u64::from(read.is_err()), Ordering::SeqCst);
        let lend = |message: Message| Message { payload: self.held.lend(message.payload), ..message };
        Ok(read?.into_iter().map(|message| message.map(lend)).collect())
    }

    async fn scan(
        &self,
        gateway: &str,
        from: Sequence,
        to: Sequence,
        limit: usize,
        bytes: usize,
    ) -> PortResult<Vec<(Sequence, Message)>> {
        self.reach(self.inner.scan(gateway, from, to, limit, bytes)).await
    }

    async fn floors(&self) -> PortResult<Floors> {
        self.reach(self.inner.floors()).await
    }

    async fn purge(&self, floor: Sequence) -> PortResult<()> {
        self.reach(self.inner.purge(floor)).await
    }

    async fn dead_letter(&self, letters: Vec<DeadLetter>) -> PortResult<()> {
        let less = |calls: u64| calls.checked_sub(1);
        if self.dead_letters_to_fail.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return Err(unreachable_log());
        }
        self.reach(self.inner.dead_letter(letters)).await
    }

    async fn heartbeat(&self, gateway: &str) -> PortResult<()> {
        self.reach(self.inner.heartbeat(gateway)).await
    }

    async fn liveness(&self, gateway: &str) -> PortResult<Liveness> {
        self.reach(self.inner.liveness(gateway)).await
    }

    async fn health(&self) -> PortResult<LogHealth> {
        self.reach(self.inner.health()).await
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use verbatim_core::model::ExchangeId;
    use verbatim_core::ports::MessageKind;

    use super::*;
    use crate::MemoryLog;

    fn message(kind: MessageKind) -> Message {
        Message {
            kind,
            gateway: "gateway".into(),
            exchange: ExchangeId::mint(),
            payload: Bytes::from_static(b"x"),
        }
    }

    fn log() -> (Arc<MemoryLog>, FaultyLog) {
        let memory = Arc::new(MemoryLog::new(Duration::from_secs(60)));
        (memory.clone(), FaultyLog::new(memory))
    }

    #[tokio::test]
    async fn only_the_messages_chosen_fail_and_the_others_keep_their_places() {
        let (memory, log) = log();
        log.set_for_messages(Fault::Fail, |message| message.kind == MessageKind::Part);
        let batch = [MessageKind::Start, MessageKind::Part, MessageKind::End].map(message).to_vec();
        let results = log.append(batch).await;
        assert!(matches!(results[..], [Ok(1), Err(PortError::Transient(_)), Ok(2)]), "{results:?}");
        assert_eq!((memory.messages().len(), log.written(), log.failed()), (2, 2, 1));
    }

    #[tokio::test]
    async fn a_lost_answer_is_written_and_reported_as_failed_for_so_many_calls() {
        let (memory, log) = log();
        log.set_for_calls(Fault::LoseAnswer, 1);
        assert!(log.append(vec![message(MessageKind::Start)]).await[0].is_err());
        assert!(log.append(vec![message(MessageKind::Start)]).await[0].is_ok());
        assert_eq!(memory.messages().len(), 2);
    }

    #[tokio::test]
    async fn a_stalled_call_goes_on_when_the_log_recovers() {
        let (memory, log) = log();
        log.set(Fault::Stall);
        let (results, ()) = tokio::join!(log.append(vec![message(MessageKind::End)]), async {
            log.stalled().await;
            assert!(memory.messages().is_empty());
            log.recover();
        });
        assert!(results[0].is_ok());
    }

    #[tokio::test]
    async fn cutting_off_ends_a_waiting_pull() {
        let (_memory, log) = log();
        let limit = PullLimit { messages: 1, bytes: 1, wait: Duration::from_secs(3600) };
        let (pulled, ()) = tokio::join!(log.next(Consumer::Recorder, limit), async { log.cut_off() });
        assert!(pulled.is_err_and(|error| error.is_transient()));
        log.recover();
        assert!(log.floors().await.is_ok());
    }
}
