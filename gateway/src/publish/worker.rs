//! Drives the machines: takes events off the queue, batches what they want to send, and appends it.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::CaptureLog;

use super::LaneName;
use super::backoff::Backoff;
use super::choice::{Choice, choose};
use super::lane::Lane;
use super::machine::{FLUSH_AFTER, GivenUp, Machine};
use crate::capture::{Event, Queue, Queued, Stage};
use crate::health::Gauges;
use crate::metrics::CallMetrics;
use crate::redact::BodyKeys;
use crate::spool::SpoolIndex;

mod appends;
mod id_hasher;

use appends::Done;
use id_hasher::IdHasher;

/// Events gather for so long before they are looked at: an append of many messages costs little more than one of
/// one, and a start carries what of the request came within that time.
const GATHER: Duration = Duration::from_millis(4);
/// How often lanes that took nothing are looked at again.
const RETRY: Duration = Duration::from_millis(25);
const BATCH_MESSAGES: usize = 512;
const BATCH_BYTES: usize = 4 << 20;
/// Above this share of the budget, what a busy log can't take goes to the spool.
const PRESSURE_PERCENT: usize = 50;

/// What a publisher works with.
pub(crate) struct PublisherConfig {
    pub(crate) gateway: Arc<str>,
    /// What is hidden in bodies.
    pub(crate) body_keys: Arc<BodyKeys>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) log: Arc<dyn CaptureLog>,
    pub(crate) spool: Option<Arc<dyn CaptureLog>>,
    pub(crate) spool_max_bytes: u64,
    /// Is told of everything that goes to the spool.
    pub(crate) spool_index: Arc<SpoolIndex>,
    /// Calls wait for their records: nothing may gather.
    pub(crate) urgent: bool,
    /// A message that is not confirmed for so long counts as not stored.
    pub(crate) acknowledge: Duration,
    /// When the end has come, what still waits has so long to get stored.
    pub(crate) flush: Duration,
}

/// The publisher of one gateway.
pub(crate) struct Publisher {
    config: PublisherConfig,
    machines: HashMap<ExchangeId, Tracked, BuildHasherDefault<IdHasher>>,
    /// Exchanges that have something to send.
    ready: VecDeque<ExchangeId>,
    /// When to look at exchanges whose bytes wait for company; equal waits make it a queue.
    due: VecDeque<(Instant, ExchangeId)>,
    log: Lane,
    spool: Option<Lane>,
    appends: FuturesUnordered<BoxFuture<'static, Done>>,
    metrics: CallMetrics,
    /// What was taken off the queue, the first one last.
    events: Vec<Queued>,
}

struct Tracked {
    machine: Machine,
    is_ready: bool,
    is_timed: bool,
    /// It could not be taken out of the spool; another try waits for this.
    stays: Option<Backoff>,
    /// That was because the spool could not be read.
    is_unreadable: bool,
}

impl Tracked {
    const fn new(machine: Machine) -> Self {
        Self { machine, is_ready: false, is_timed: false, stays: None, is_unreadable: false }
    }
}

impl Publisher {
    pub(crate) fn new(config: PublisherConfig) -> Self {
        let log = Lane::new(LaneName::Log, Arc::clone(&config.log), Arc::clone(&config.gauges), u64::MAX);
        let spool = config.spool.as_ref().map(|spool| {
            Lane::new(LaneName::Spool, Arc::clone(spool), Arc::clone(&config.gauges), config.spool_max_bytes)
        });
        Self {
            config,
            machines: HashMap::default(),
            ready: VecDeque::new(),
            due: VecDeque::new(),
            log,
            spool,
            appends: FuturesUnordered::new(),
            metrics: CallMetrics::new(),
            events: Vec::new(),
        }
    }

    /// Publishes until `stop` is cancelled; then what is left until it is stored, or the time for it is over. What is
    /// still here then is lost, and counted. Where this panics, `failed` is told at once, and what it held is lost with
    /// all that comes until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken, failed: impl FnOnce()) {
        let published = AssertUnwindSafe(self.publish(&stop)).catch_unwind().await;
        if published.is_err() {
            failed();
            // Each time one event less.
            while AssertUnwindSafe(self.refuse(&stop)).catch_unwind().await.is_err() {}
        }
        self.abandon();
    }

    async fn publish(&mut self, stop: &CancellationToken) {
        let mut deadline: Option<Instant> = None;
        loop {
            // A log that answers at once must not keep others from running.
            tokio::task::consume_budget().await;
            let wake = self.next_wake(deadline);
            tokio::select! {
                biased;
                Some(done) = self.appends.next(), if !self.appends.is_empty() => self.done(done),
                () = self.config.queue.filled() => {
                    if !self.config.urgent && deadline.is_none() {
                        self.gather().await;
                    }
                }
                () = sleep_until(wake.into()) => {}
                () = stop.cancelled(), if deadline.is_none() => deadline = Some(Instant::now() + self.config.flush),
            }
            let now = Instant::now();
            self.take_events(now);
            self.wake_due(now);
            self.dispatch(now);
            let over = |deadline| self.machines.is_empty() || now >= deadline;
            if deadline.is_some_and(over) {
                return;
            }
        }
    }

    /// Lets events gather, and settles what is confirmed meanwhile.
    async fn gather(&mut self) {
        let until = Instant::now() + GATHER;
        while let Ok(Some(done)) = tokio::time::timeout_at(until.into(), self.appends.next()).await {
            self.done(done);
            self.dispatch(Instant::now());
        }
        sleep_until(until.into()).await;
    }

    fn next_wake(&self, deadline: Option<Instant>) -> Instant {
        let now = Instant::now();
        let due = self.due.front().map(|(at, _)| *at);
        // Nothing under way will tell when a lane can be tried again.
        let retry = (!self.ready.is_empty() && self.appends.is_empty()).then_some(now + RETRY);
        [due, retry, deadline].into_iter().flatten().min().unwrap_or(now + Duration::from_secs(3600))
    }

    fn take_events(&mut self, now: Instant) {
        // Where one panicked, those behind it still count.
        if self.events.is_empty() {
            self.config.queue.take(&mut self.events);
            self.events.reverse();
        }
        while let Some(Queued { exchange, event }) = self.events.pop() {
            let id = exchange.id();
            if let Event::End(end) = &event {
                self.metrics.ended(end);
            }
            if let Event::Start(facts) = event {
                let (gateway, keys) = (Arc::clone(&self.config.gateway), Arc::clone(&self.config.body_keys));
                let machine = Machine::new(exchange, gateway, keys, facts);
                self.machines.insert(id, Tracked::new(machine));
            } else if let Some(tracked) = self.machines.get_mut(&id) {
                tracked.machine.event(event, now);
            }
            self.look_at(id, now);
        }
        // A burst's room is not kept for ever.
        if self.events.capacity() > 1 << 16 {
            self.events = Vec::new();
        }
        self.config.gauges.unpublished.store(self.machines.len(), std::sync::atomic::Ordering::Relaxed);
    }

    /// Puts an exchange where it belongs: with those that have something to send, or those that wait for company.
    fn look_at(&mut self, id: ExchangeId, now: Instant) {
        let Some(tracked) = self.machines.get_mut(&id) else { return };
        let machine = &tracked.machine;
        let stuck = machine.is_failed() && machine.in_flight() == 0;
        if !tracked.is_ready && (stuck || machine.has_next(now)) {
            tracked.is_ready = true;
            self.ready.push_back(id);
        }
        // One that is due already needs no timer: it is ready, or what it waits for will have it looked at again.
        let due = machine.waiting_since().map(|since| since + FLUSH_AFTER).filter(|due| *due > now);
        if let Some(due) = due.filter(|_| !tracked.is_timed) {
            tracked.is_timed = true;
            self.due.push_back((due, id));
        }
    }

    fn wake_due(&mut self, now: Instant) {
        while self.due.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, id)) = self.due.pop_front()
        {
            if let Some(tracked) = self.machines.get_mut(&id) {
                tracked.is_timed = false;
            }
            self.look_at(id, now);
        }
    }

    /// Sends what can be sent.
    fn dispatch(&mut self, now: Instant) {
        let mut batches = [Vec::new(), Vec::new()];
        let mut bytes = [0, 0];
        for _ in 0..self.ready.len() {
            if !self.log.has_room(now) && !self.spool.as_ref().is_some_and(|spool| spool.has_room(now)) {
                break;
            }
            let Some(id) = self.ready.pop_front() else { break };
            let Some(tracked) = self.machines.get_mut(&id) else { continue };
            let pressed = self.config.queue.is_over(PRESSURE_PERCENT)
                || tracked.machine.exchange().charged() > self.config.queue.limits().exchange / 2;
            let lane = match choose(&self.log, self.spool.as_ref(), &tracked.machine, pressed, now) {
                Choice::Send(lane) => lane,
                Choice::Wait => {
                    self.ready.push_back(id);
                    continue;
                }
                Choice::BringBack if tracked.stays.is_some_and(|stays| !stays.is_over(now)) => {
                    self.ready.push_back(id);
                    continue;
                }
                Choice::BringBack => {
                    tracked.is_ready = false;
                    let stored = tracked.machine.leave_spool();
                    self.bring_back(id, stored);
                    continue;
                }
            };
            tracked.is_ready = false;
            if lane == LaneName::Log && self.spool.as_ref().is_some_and(|spool| spool.has_room(now)) {
                self.log.probed(now);
            }
            if lane != tracked.machine.lane() || tracked.machine.is_failed() {
                tracked.machine.resume(lane);
                if lane == LaneName::Log {
                    self.config.spool_index.forget(id);
                }
            }
            let index = lane as usize;
            while let Some(outgoing) = tracked.machine.next(now) {
                bytes[index] += outgoing.payload.len();
                batches[index].push((id, outgoing));
                if batches[index].len() >= BATCH_MESSAGES || bytes[index] >= BATCH_BYTES {
                    break;
                }
            }
            self.look_at(id, now);
            if batches[index].len() >= BATCH_MESSAGES || bytes[index] >= BATCH_BYTES {
                self.append(lane, std::mem::take(&mut batches[index]));
                bytes[index] = 0;
            }
        }
        let [log, spool] = batches;
        self.append(LaneName::Log, log);
        self.append(LaneName::Spool, spool);
    }

    fn published(&mut self, id: ExchangeId, lane: LaneName) {
        self.machines.remove(&id);
        if lane == LaneName::Spool {
            self.config.spool_index.ended(id);
        }
    }

    /// A call that waits for its start is told at once when neither lane takes it.
    fn refuse_required(&self, id: ExchangeId) {
        let spool_up = self.spool.as_ref().is_some_and(Lane::is_up);
        if let Some(tracked) = self.machines.get(&id)
            && !tracked.machine.is_started()
            && !self.log.is_up()
            && !spool_up
        {
            tracked.machine.exchange().reached(Stage::Refused);
        }
    }

    /// Tells all calls that nothing takes them, until `stop`.
    async fn refuse(&mut self, stop: &CancellationToken) {
        loop {
            let is_over = stop.is_cancelled() && self.events.is_empty();
            self.take_events(Instant::now());
            self.machines.values().for_each(|tracked| tracked.machine.exchange().reached(Stage::Refused));
            if is_over {
                return;
            }
            let _ = stop.run_until_cancelled(self.config.queue.filled()).await;
        }
    }

    /// The time is over: what is still here is lost, and counted.
    fn abandon(self) {
        for Tracked { machine, is_unreadable, .. } in self.machines.values() {
            machine.exchange().reached(Stage::Refused);
            match machine.given_up(!is_unreadable) {
                GivenUp::All => self.config.gauges.count_unrecorded(1),
                GivenUp::Bytes(bytes) => self.config.gauges.count_lost(bytes as u64),
            }
        }
        if !self.machines.is_empty() {
            let exchanges = self.machines.len();
            tracing::error!(
                exchanges,
                "stopped before all records were stored: log and spool did not take them"
            );
        }
    }
}
