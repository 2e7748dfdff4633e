//! What the tees, the call and the publisher share of one exchange.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use verbatim_core::model::{ExchangeId, Leg, Outcome, RecordMode};

use super::{EndFacts, Event, HeadFacts, Queue, Queued, StartFacts};

mod gather;

pub(crate) use gather::Gathered;

/// What an event costs beside its bytes.
pub(crate) const EVENT_BYTES: usize = 128;
/// What an exchange costs beside its bodies: its start, and the end, which must always have room.
const EXCHANGE_BYTES: usize = 2048;
/// The tee slows a call down by so much at most.
const SLOWED_AT_MOST: Duration = Duration::from_secs(1);
/// Only legs longer than this are slowed down.
const SLOWED_ABOVE: u64 = 4 * 1024 * 1024;

/// How durable an exchange is, for calls that wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing of it is.
    Nothing,
    /// Its start is.
    Started,
    /// All of it is.
    Ended,
    /// Neither log nor spool took it.
    Refused,
}

/// Bytes of a leg that passed and were not handed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NotHandedOver {
    /// By the caller's wish.
    pub(crate) withheld: u64,
    /// For want of room.
    pub(crate) lost: u64,
    /// Behind as many as are recorded of a body at most.
    pub(crate) beyond: u64,
}

/// That the caller did not get the end of its call, which waits for the record to be durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndWithheld {
    pub(crate) outcome: Outcome,
    pub(crate) why: String,
    /// The status that the caller got in place of the provider's, where its head was withheld, too.
    pub(crate) status: Option<u16>,
}

/// What the request asks for, as far as the scan found it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) model: Option<String>,
    pub(crate) stream: Option<bool>,
}

/// One exchange's shared state.
#[derive(Debug)]
pub(crate) struct Exchange {
    id: ExchangeId,
    began: Instant,
    mode: RecordMode,
    queue: Arc<Queue>,
    /// Where even its start found no room it is not recorded, and counted as such.
    recorded: bool,
    charged: AtomicUsize,
    withheld: [AtomicU64; 2],
    lost: [AtomicU64; 2],
    beyond: [AtomicU64; 2],
    slowed_us: AtomicU64,
    held_us: [AtomicU64; 2],
    asked: OnceLock<Asked>,
    stage: Option<watch::Sender<Stage>>,
    progress_us: AtomicU64,
    request_done_us: AtomicU64,
    client_gone: AtomicBool,
    overdue: OnceLock<String>,
    end_withheld: OnceLock<EndWithheld>,
}

impl Exchange {
    /// Begins an exchange. Where it is `required`, its durability can be waited for.
    pub(crate) fn begin(
        queue: &Arc<Queue>,
        id: ExchangeId,
        began: Instant,
        mode: RecordMode,
        required: bool,
        facts: StartFacts,
    ) -> Arc<Self> {
        let charge = EXCHANGE_BYTES + facts.path.len() + facts.upstream_url.len() + facts.headers.charge();
        let charged = AtomicUsize::new(0);
        let recorded = queue.try_reserve(&charged, charge);
        let exchange = Arc::new(Self {
            id,
            began,
            mode,
            queue: Arc::clone(queue),
            recorded,
            charged,
            withheld: Default::default(),
            lost: Default::default(),
            beyond: Default::default(),
            slowed_us: AtomicU64::new(0),
            held_us: Default::default(),
            asked: OnceLock::new(),
            stage: required
                .then(|| watch::Sender::new(if recorded { Stage::Nothing } else { Stage::Refused })),
            progress_us: AtomicU64::new(0),
            request_done_us: AtomicU64::new(u64::MAX),
            client_gone: AtomicBool::new(false),
            overdue: OnceLock::new(),
            end_withheld: OnceLock::new(),
        });
        if recorded {
            exchange.push(Event::Start(Box::new(facts)));
        } else {
            queue.gauges().count_unrecorded(1);
        }
        exchange
    }

    pub(crate) const fn id(&self) -> ExchangeId {
        self.id
    }

    pub(crate) const fn mode(&self) -> RecordMode {
        self.mode
    }

    /// Microseconds since it began.
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Records the head of an answer.
    pub(crate) fn head(self: &Arc<Self>, head: HeadFacts) {
        if self.recorded {
            self.queue.charge(&self.charged, head.headers.charge());
            self.push(Event::Head(Box::new(head)));
        }
    }

    /// Gives bytes up for which there is no room.
    pub(crate) fn lose(&self, leg: Leg, bytes: usize) {
        self.lost[side(leg)].fetch_add(bytes as u64, Relaxed);
        self.count_lost(bytes);
    }

    /// Counts bytes that were handed over and are given up now.
    pub(crate) fn count_lost(&self, bytes: usize) {
        self.queue.gauges().count_lost(bytes as u64);
    }

    /// Whether a leg that is `offset` bytes along may be slowed down for its recording's sake.
    pub(crate) fn may_wait(&self, offset: u64) -> bool {
        self.stage.is_some()
            || (offset >= SLOWED_ABOVE && self.slowed_us.load(Relaxed) < SLOWED_AT_MOST.as_micros() as u64)
    }

    /// Counts time for which a leg was slowed down.
    pub(crate) fn slowed(&self, by: Duration) {
        self.slowed_us.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Notes for how long a chunk of a leg has been held back when room for it was last looked for; zero once it passed.
    pub(crate) fn held(&self, leg: Leg, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.held_us[side(leg)].store(us, Relaxed);
    }

    /// For how long either leg has been held back because there is no room to record it.
    pub(crate) fn held_back(&self) -> Duration {
        Duration::from_micros(self.held_us.iter().map(|us| us.load(Relaxed)).max().unwrap_or(0))
    }

    /// Records that it is over.
    pub(crate) fn end(self: &Arc<Self>, end: EndFacts) {
        if self.recorded {
            self.push(Event::End(Box::new(end)));
        }
    }

    /// Notes what the request asks for; the first finding counts.
    pub(crate) fn set_asked(&self, asked: Asked) {
        // A second finding can only be the same scan's, repeated.
        let _ = self.asked.set(asked);
    }

    /// What the request asks for, if that is known by now.
    pub(crate) fn asked(&self) -> Option<&Asked> {
        self.asked.get()
    }

    /// Bytes of a leg that passed and were not handed over: withheld by wish, lost, and beyond the limit of a body.
    pub(crate) fn not_handed_over(&self, leg: Leg) -> NotHandedOver {
        let of = |count: &[AtomicU64; 2]| count[side(leg)].load(Relaxed);
        NotHandedOver { withheld: of(&self.withheld), lost: of(&self.lost), beyond: of(&self.beyond) }
    }

    /// Bytes of a body that are recorded at most.
    pub(crate) fn body_limit(&self) -> u64 {
        self.queue.body_limit()
    }

    /// Notes that bytes passed; gives the time, in microseconds since it began.
    pub(crate) fn progress(&self) -> u64 {
        let now = self.now_us();
        self.progress_us.store(now, Relaxed);
        now
    }

    /// When bytes passed last.
    pub(crate) fn progress_us(&self) -> u64 {
        self.progress_us.load(Relaxed)
    }

    /// Notes that the request has passed whole, if that was not known before.
    pub(crate) fn request_done(&self) {
        if self.request_done_us().is_none() {
            self.request_done_us.store(self.now_us(), Relaxed);
        }
    }

    /// When the request had passed whole, if it has.
    pub(crate) fn request_done_us(&self) -> Option<u64> {
        Some(self.request_done_us.load(Relaxed)).filter(|at| *at != u64::MAX)
    }

    /// Notes that the caller went away while it was sending.
    pub(crate) fn client_gone(&self) {
        self.client_gone.store(true, Relaxed);
    }

    pub(crate) fn is_client_gone(&self) -> bool {
        self.client_gone.load(Relaxed)
    }

    /// Notes that the call is dropped because a time ran out, and which.
    pub(crate) fn drop_overdue(&self, why: String) {
        // The first time that ran out is the one.
        let _ = self.overdue.set(why);
    }

    /// Why the call is dropped, where that is for a time that ran out.
    pub(crate) fn overdue(&self) -> Option<&str> {
        self.overdue.get().map(String::as_str)
    }

    /// Notes that the caller does not get the end, as a record that is stored from now on says.
    pub(crate) fn withhold_end(&self, withheld: EndWithheld) {
        // A call has one end.
        let _ = self.end_withheld.set(withheld);
    }

    /// Whether the caller was left without the end, and why.
    pub(crate) fn end_withheld(&self) -> Option<&EndWithheld> {
        self.end_withheld.get()
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.queue.is_interrupting()
    }

    /// Whether the call waits for its recording.
    pub(crate) const fn is_required(&self) -> bool {
        self.stage.is_some()
    }

    /// Waits until it is as durable as `wanted`, or refused; at once where nobody requires that.
    pub(crate) async fn durable(self: Arc<Self>, wanted: Stage) -> Stage {
        let Some(stage) = &self.stage else { return wanted };
        let mut seen = stage.subscribe();
        let reached = |now: &Stage| *now == wanted || matches!(now, Stage::Ended | Stage::Refused);
        seen.wait_for(reached).await.map_or(Stage::Refused, |stage| *stage)
    }

    /// Tells those who wait how durable it is now.
    pub(crate) fn reached(&self, now: Stage) {
        if let Some(stage) = &self.stage {
            stage.send_replace(now);
        }
    }

    /// Bytes it is charged with.
    pub(crate) fn charged(&self) -> usize {
        self.charged.load(Relaxed)
    }

    /// Gives bytes back to the budgets.
    pub(crate) fn release(&self, bytes: usize) {
        self.queue.release(&self.charged, bytes);
    }

    fn push(self: &Arc<Self>, event: Event) {
        self.queue.push(Queued { exchange: Arc::clone(self), event });
    }
}

/// Whatever way an exchange leaves the pipeline, what it was charged with goes back to the budget.
impl Drop for Exchange {
    fn drop(&mut self) {
        self.release(self.charged());
    }
}

const fn side(leg: Leg) -> usize {
    if leg.is_request() { 0 } else { 1 }
}
