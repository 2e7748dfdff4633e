//! A capture log in memory: the smallest thing that keeps the contract, and the model the real ones are held to.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use verbatim_core::ports::{
    CaptureLog, Consumer, DeadLetter, Delivery, Floors, Liveness, LogHealth, Message, MessageKind, PortError,
    PortResult, PullLimit, Sequence,
};

/// The contract, kept in memory. Lives as long as the value: [`MemoryLog::restart`] stands for a restart of a
/// real one.
#[derive(Debug)]
pub struct MemoryLog {
    state: Mutex<State>,
    changed: Notify,
    acknowledgement_wait: Duration,
    max_bytes: u64,
}

#[derive(Debug, Default)]
struct State {
    messages: BTreeMap<Sequence, Message>,
    last: Sequence,
    bytes: u64,
    recorder: BTreeMap<Sequence, Unread>,
    watch: BTreeMap<Sequence, Unread>,
    dead: BTreeMap<Sequence, DeadLetter>,
    said_max_bytes: Option<u64>,
    alive: HashSet<String>,
}

/// What one consumer has not acknowledged.
#[derive(Debug, Clone, Copy, Default)]
struct Unread {
    deliveries: u32,
    /// With the consumer until then.
    until: Option<Instant>,
}

impl State {
    fn unread(&mut self, consumer: Consumer) -> &mut BTreeMap<Sequence, Unread> {
        match consumer {
            Consumer::Recorder => &mut self.recorder,
            Consumer::Watch => &mut self.watch,
        }
    }

    fn floor(&self, unread: &BTreeMap<Sequence, Unread>) -> Sequence {
        unread.first_key_value().map_or(self.last, |(&sequence, _)| sequence - 1)
    }

    /// What can be delivered now, and otherwise when something comes back.
    fn take(&mut self, consumer: Consumer, limit: PullLimit, now: Instant, until: Instant) -> Taken {
        let mut chosen = Vec::new();
        let mut bytes = 0;
        let mut next_due = None;
        let Self { messages, recorder, watch, .. } = self;
        let unread = match consumer {
            Consumer::Recorder => recorder,
            Consumer::Watch => watch,
        };
        for (&sequence, unread) in unread {
            if let Some(due) = unread.until.filter(|&due| due > now) {
                next_due = Some(next_due.map_or(due, |other: Instant| other.min(due)));
                continue;
            }
            let Some(message) = messages.get(&sequence) else { continue };
            bytes += message.payload.len();
            if chosen.len() >= limit.messages || (bytes > limit.bytes && !chosen.is_empty()) {
                break;
            }
            chosen.push(Delivery { sequence, message: message.clone(), redelivered: unread.deliveries });
            unread.deliveries += 1;
            unread.until = Some(until);
        }
        Taken { chosen, next_due }
    }
}

struct Taken {
    chosen: Vec<Delivery>,
    next_due: Option<Instant>,
}

impl MemoryLog {
    /// An empty log that delivers again what was not acknowledged for `acknowledgement_wait`.
    pub fn new(acknowledgement_wait: Duration) -> Self {
        Self { state: Mutex::default(), changed: Notify::new(), acknowledgement_wait, max_bytes: u64::MAX }
    }

    /// The same, refusing messages while it keeps more than `max_bytes` payload bytes.
    pub fn with_max_bytes(self, max_bytes: u64) -> Self {
        Self { max_bytes, ..self }
    }

    /// From now on it says that it takes so many bytes at most, whatever it takes.
    pub fn say_max_bytes(&self, max_bytes: u64) {
        self.lock().said_max_bytes = Some(max_bytes);
    }

    /// What a restart of a real log does: every unacknowledged delivery comes again, no gateway is known alive.
    pub fn restart(&self) {
        let mut state = self.lock();
        let state = &mut *state;
        for unread in state.recorder.values_mut().chain(state.watch.values_mut()) {
            unread.until = None;
        }
        state.alive.clear();
        self.changed.notify_waiters();
    }

    /// Every message it holds, in order.
    pub fn messages(&self) -> Vec<(Sequence, Message)> {
        self.lock().messages.iter().map(|(&sequence, message)| (sequence, message.clone())).collect()
    }

    /// Every dead letter, by sequence.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.lock().dead.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CaptureLog for MemoryLog {
    async fn append(&self, messages: Vec<Message>) -> Vec<PortResult<Sequence>> {
        let mut state = self.lock();
        let results = messages
            .into_iter()
            .map(|message| {
                let bytes = u64::try_from(message.payload.len()).unwrap_or(u64::MAX);
                if state.bytes.saturating_add(bytes) > self.max_bytes {
                    return Err(PortError::transient("append", "the log is full"));
                }
                state.bytes += bytes;
                state.last += 1;
                let sequence = state.last;
                match message.kind {
                    MessageKind::Start => drop(state.watch.insert(sequence, Unread::default())),
                    MessageKind::Part => {}
                    MessageKind::End => drop(state.recorder.insert(sequence, Unread::default())),
                }
                state.messages.insert(sequence, message);
                Ok(sequence)
            })
            .collect();
        self.changed.notify_waiters();
        results
    }

    async fn next(&self, consumer: Consumer, limit: PullLimit) -> PortResult<Vec<Delivery>> {
        let give_up = Instant::now() + limit.wait;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = Instant::now();
            let taken = self.lock().take(consumer, limit, now, now + self.acknowledgement_wait);
            if !taken.chosen.is_empty() || now >= give_up {
                return Ok(taken.chosen);
            }
            let wake = taken.next_due.map_or(give_up, |due| due.min(give_up));
            tokio::select! {
                () = changed => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    async fn acknowledge(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()> {
        let mut state = self.lock();
        let unread = state.unread(consumer);
        for sequence in sequences {
            // What was never delivered can't be acknowledged.
            if unread.get(sequence).is_some_and(|unread| unread.deliveries > 0) {
                unread.remove(sequence);
            }
        }
        Ok(())
    }

    async fn progress(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()> {
        let until = Instant::now() + self.acknowledgement_wait;
        let mut state = self.lock();
        let unread = state.unread(consumer);
        for sequence in sequences {
            if let Some(unread) = unread.get_mut(sequence).filter(|unread| unread.until.is_some()) {
                unread.until = Some(until);
            }
        }
        Ok(())
    }

    async fn hand_back(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()> {
        let mut state = self.lock();
        let unread = state.unread(consumer);
        for sequence in sequences {
            if let Some(unread) = unread.get_mut(sequence) {
                unread.until = None;
            }
        }
        self.changed.notify_waiters();
        Ok(())
    }

    async fn read(&self, sequences: &[Sequence]) -> PortResult<Vec<Option<Message>>> {
        let state = self.lock();
        Ok(sequences.iter().map(|sequence| state.messages.get(sequence).cloned()).collect())
    }

    async fn scan(
        &self,
        gateway: &str,
        from: Sequence,
        to: Sequence,
        limit: usize,
        bytes: usize,
    ) -> PortResult<Vec<(Sequence, Message)>> {
        let state = self.lock();
        let mut found: Vec<(Sequence, Message)> = Vec::new();
        let mut total = 0;
        if from > to {
            return Ok(found);
        }
        for (&sequence, message) in state.messages.range(from..=to).filter(|(_, m)| m.gateway == gateway) {
            total += message.payload.len();
            if found.len() >= limit || (total > bytes && !found.is_empty()) {
                break;
            }
            found.push((sequence, message.clone()));
        }
        Ok(found)
    }

    async fn floors(&self) -> PortResult<Floors> {
        let state = self.lock();
        Ok(Floors {
            recorder: state.floor(&state.recorder),
            watch: state.floor(&state.watch),
            last: state.last,
        })
    }

    async fn purge(&self, floor: Sequence) -> PortResult<()> {
        let mut state = self.lock();
        let kept = state.messages.split_off(&floor);
        let gone = std::mem::replace(&mut state.messages, kept);
        state.bytes -=
            gone.values().map(|message| u64::try_from(message.payload.len()).unwrap_or(0)).sum::<u64>();
        state.recorder = state.recorder.split_off(&floor);
        state.watch = state.watch.split_off(&floor);
        Ok(())
    }

    async fn dead_letter(&self, letters: Vec<DeadLetter>) -> PortResult<()> {
        let mut state = self.lock();
        state.dead.extend(letters.into_iter().map(|letter| (letter.sequence, letter)));
        Ok(())
    }

    async fn heartbeat(&self, gateway: &str) -> PortResult<()> {
        self.lock().alive.insert(gateway.to_owned());
        Ok(())
    }

    async fn liveness(&self, gateway: &str) -> PortResult<Liveness> {
        let log = self.lock();
        Ok(match log.alive.contains(gateway) {
            true => Liveness::Alive,
            false if log.alive.is_empty() => Liveness::Unknown,
            false => Liveness::Dead,
        })
    }

    async fn health(&self) -> PortResult<LogHealth> {
        let state = self.lock();
        Ok(LogHealth {
            bytes: state.bytes,
            max_bytes: state.said_max_bytes.or((self.max_bytes < u64::MAX).then_some(self.max_bytes)),
            messages: u64::try_from(state.messages.len()).unwrap_or(u64::MAX),
            ends_pending: u64::try_from(state.recorder.len()).unwrap_or(u64::MAX),
            dead_letters: u64::try_from(state.dead.len()).unwrap_or(u64::MAX),
        })
    }
}
