//! Watches the capture log and the archive, and tells onlookers what happens. It works only while somebody looks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use verbatim_core::model::{Exchange, ExchangeId, Outcome, Rank};
use verbatim_core::ports::{Archive, Live, LiveMessage, Message, MessageKind};

use super::running::Running;
use super::{Event, Happened};

/// How often onlookers are told.
const TICK: Duration = Duration::from_millis(100);
/// A call is told as started once it has run so long: a faster one shows up when it is archived.
const LONG: Duration = Duration::from_millis(150);
/// Told in one tick at most; more than a person can follow is counted instead.
const TOLD_AT_ONCE: usize = 50;
/// Calls that are remembered as running.
const RUNNING: usize = 10_000;
/// Ended calls that wait to be seen in the archive.
const ENDED: usize = 2_000;
/// So long an ended call is looked for in the archive.
const PATIENCE: Duration = Duration::from_secs(60);
/// Events kept for onlookers that come back.
const KEPT: usize = 1_024;
/// So long the hub goes on working after somebody looked.
const INTEREST: Duration = Duration::from_secs(30);
/// How often running calls are held against the archive, in case their end went by unseen.
const RECONCILE: Duration = Duration::from_secs(5);

/// Tells what happens.
pub(crate) struct Hub {
    state: Mutex<State>,
    sender: broadcast::Sender<Arc<Event>>,
}

struct State {
    running: BTreeMap<ExchangeId, Running>,
    ended: VecDeque<(ExchangeId, Instant)>,
    recent: VecDeque<Arc<Event>>,
    number: u64,
    interest_until: Instant,
    reconciled: Instant,
}

/// One who looks on: what it missed since it last looked, and what happens from now on.
pub(crate) struct Onlooker {
    pub(crate) before: Vec<Arc<Event>>,
    pub(crate) from_now: broadcast::Receiver<Arc<Event>>,
}

impl Hub {
    pub(crate) fn new() -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            running: BTreeMap::new(),
            ended: VecDeque::new(),
            recent: VecDeque::new(),
            number: 0,
            interest_until: now,
            reconciled: now,
        };
        Arc::new(Self { state: Mutex::new(state), sender: broadcast::channel(KEPT).0 })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the last event; whoever looks on from there misses nothing.
    pub(crate) fn look(&self) -> u64 {
        let mut state = self.state();
        state.interest_until = Instant::now() + INTEREST;
        state.number
    }

    /// The calls under way, newest first.
    pub(crate) fn running(&self, limit: usize) -> Vec<Exchange> {
        let mut state = self.state();
        state.interest_until = Instant::now() + INTEREST;
        let calls = state.running.values_mut().rev().filter_map(|running| running.exchange().cloned());
        calls.take(limit).collect()
    }

    /// Whether a call is under way, or over and not yet seen in the archive.
    pub(crate) fn is_pending(&self, id: ExchangeId) -> bool {
        let state = self.state();
        state.running.contains_key(&id) || state.ended.iter().any(|(ended, _)| *ended == id)
    }

    /// Looks on, from behind the event `after` where that is given.
    pub(crate) fn join(&self, after: Option<u64>) -> Onlooker {
        let mut state = self.state();
        state.interest_until = Instant::now() + INTEREST;
        let from_now = self.sender.subscribe();
        let before = match after {
            None => Vec::new(),
            Some(after) if after == state.number => Vec::new(),
            Some(after) => {
                let oldest = state.recent.front().map(|event| event.number);
                if after > state.number || oldest.is_none_or(|oldest| oldest > after + 1) {
                    vec![Arc::new(Event { number: state.number, happened: Happened::Missed(0) })]
                } else {
                    state.recent.iter().filter(|event| event.number > after).cloned().collect()
                }
            }
        };
        Onlooker { before, from_now }
    }

    /// Works until stopped.
    pub(crate) async fn run(
        self: Arc<Self>,
        live: Arc<dyn Live>,
        archive: Arc<dyn Archive>,
        stop: CancellationToken,
    ) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut messages = live.subscribe();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                message = messages.next() => match message {
                    Some(message) => self.passed(message),
                    None => {
                        self.passed(LiveMessage::Missed(0));
                        tokio::select! {
                            () = stop.cancelled() => return,
                            () = sleep(Duration::from_secs(1)) => messages = live.subscribe(),
                        }
                    }
                },
                _ = tick.tick() => self.tell(archive.as_ref()).await,
            }
        }
    }

    fn passed(&self, message: LiveMessage) {
        let now = Instant::now();
        let mut state = self.state();
        match message {
            LiveMessage::Passed(Message { kind: MessageKind::Part, .. }) => {}
            LiveMessage::Passed(message) if message.kind == MessageKind::Start => {
                if state.running.len() >= RUNNING {
                    state.running.pop_first();
                }
                state.running.insert(message.exchange, Running::new(&message, now));
            }
            LiveMessage::Passed(message) => {
                let told = state.running.remove(&message.exchange).is_some_and(|running| running.told);
                if state.is_watched(now, &self.sender) {
                    if told {
                        state.push(&self.sender, Happened::Ended(message.exchange));
                    }
                    state.ended.push_back((message.exchange, now));
                    if state.ended.len() > ENDED {
                        state.ended.pop_front();
                        state.push(&self.sender, Happened::Missed(1));
                    }
                } else {
                    state.skip();
                }
            }
            LiveMessage::Missed(count) => state.push(&self.sender, Happened::Missed(count)),
        }
    }

    async fn tell(&self, archive: &dyn Archive) {
        let (ended, doubtful) = {
            let now = Instant::now();
            let mut state = self.state();
            if !state.is_watched(now, &self.sender) {
                return;
            }
            state.tell_started(&self.sender, now);
            let ended: Vec<ExchangeId> = state.ended.iter().take(TOLD_AT_ONCE).map(|(id, _)| *id).collect();
            let mut doubtful = Vec::new();
            if now.duration_since(state.reconciled) >= RECONCILE {
                state.reconciled = now;
                let old = state
                    .running
                    .iter()
                    .filter(|(_, running)| now.duration_since(running.since) >= RECONCILE);
                doubtful = old.map(|(id, _)| *id).take(500).collect();
            }
            (ended, doubtful)
        };
        if !ended.is_empty() {
            match archive.get_many(&ended).await {
                Ok(archived) => self.tell_archived(&ended, archived),
                Err(error) => tracing::debug!(%error, "the archive could not be asked for what ended"),
            }
        }
        if !doubtful.is_empty()
            && let Ok(ranks) = archive.ranks(&doubtful).await
        {
            let mut state = self.state();
            for (id, rank) in doubtful.into_iter().zip(ranks) {
                if rank.is_some_and(|rank| rank > Rank::Running) && state.running.remove(&id).is_some() {
                    state.push(&self.sender, Happened::Ended(id));
                    state.ended.push_back((id, Instant::now()));
                }
            }
        }
    }

    fn tell_archived(&self, asked: &[ExchangeId], archived: Vec<Exchange>) {
        let now = Instant::now();
        let mut state = self.state();
        let archived: Vec<Exchange> =
            archived.into_iter().filter(|exchange| exchange.outcome != Outcome::Running).collect();
        let done = |id: &ExchangeId| archived.iter().any(|exchange| exchange.id == *id);
        // What is not there yet goes to the back, so that one straggler does not hold up the others.
        let asked = asked.len().min(state.ended.len());
        for _ in 0..asked {
            if let Some((id, since)) = state.ended.pop_front()
                && !done(&id)
                && now.duration_since(since) < PATIENCE
            {
                state.ended.push_back((id, since));
            }
        }
        for exchange in archived {
            state.push(&self.sender, Happened::Archived(Arc::new(exchange)));
        }
        // More than anybody can follow: let the oldest go, and say how many.
        let behind = state.ended.len().saturating_sub(TOLD_AT_ONCE * 4);
        if behind > 0 {
            state.ended.drain(..behind);
            state.push(&self.sender, Happened::Missed(behind as u64));
        }
    }
}

impl State {
    fn is_watched(&self, now: Instant, sender: &broadcast::Sender<Arc<Event>>) -> bool {
        now < self.interest_until || sender.receiver_count() > 0
    }

    /// Something happened while nobody looked: who comes back with an older number is told that it missed something.
    fn skip(&mut self) {
        self.number += 1;
        self.recent.clear();
        self.ended.clear();
    }

    fn push(&mut self, sender: &broadcast::Sender<Arc<Event>>, happened: Happened) {
        self.number += 1;
        let event = Arc::new(Event { number: self.number, happened });
        if self.recent.len() >= KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(Arc::clone(&event));
        // An error only says that nobody is there.
        let _ = sender.send(event);
    }

    fn tell_started(&mut self, sender: &broadcast::Sender<Arc<Event>>, now: Instant) {
        let mut started = Vec::new();
        for running in self.running.values_mut().rev() {
            if running.told || now.duration_since(running.since) < LONG {
                continue;
            }
            running.told = true;
            if let Some(exchange) = running.exchange() {
                started.push(Arc::new(exchange.clone()));
            }
            if started.len() >= TOLD_AT_ONCE {
                break;
            }
        }
        for exchange in started.into_iter().rev() {
            self.push(sender, Happened::Started(exchange));
        }
    }
}
