//! One process's end of a durable consumer that it shares with others.

mod answering;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::Subscriber;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::{Consumer, Delivery, PortError, PortResult, PullLimit};

use crate::ack_subject;
use crate::config::Config;
use crate::deliveries::{Arrived, Deliveries};
use crate::garbage::{self, Garbage};
use crate::pull::{Over, Pulls, Question, Wanted};
use crate::requests::Requests;
use crate::setup::{CAPTURE, ENDS, RECORDER, RECORDER_PENDING, STARTS, WATCH, WATCH_PENDING};
use crate::wire;

/// Subject and headers of a message take no more than that beside its payload.
const ENVELOPE: usize = 16 * 1024;
/// So many acknowledgements are on the way at once.
const ACKNOWLEDGING: usize = 4096;
/// Until the connection stands again.
const RETRY: Duration = Duration::from_millis(200);
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// A reader of ends or of starts.
pub(crate) struct Reader {
    consumer: Consumer,
    requests: Requests,
    answer_within: Duration,
    inbox: String,
    state: Mutex<State>,
    changed: Notify,
    /// The connection broke while something was to come: what came may be what broke it.
    suspicious: Notify,
    /// One at a time asks the server.
    turn: tokio::sync::Mutex<()>,
    acknowledging: Arc<Semaphore>,
    closing: CancellationToken,
}

struct State {
    deliveries: Deliveries,
    pulls: Pulls,
    /// What was asked is not answered any more.
    failed: Option<String>,
}

/// What whoever wants deliveries does next.
enum Look {
    Failed(String),
    Here(Vec<Delivery>),
    Ask(Question),
    Wait(Instant),
}

impl Reader {
    /// A reader, and where its messages come; they are taken in while [`Reader::receive`] runs.
    pub(crate) async fn new(
        consumer: Consumer,
        config: &Config,
        requests: Requests,
        closing: CancellationToken,
    ) -> PortResult<(Self, Subscriber)> {
        let client = requests.client();
        let inbox = client.new_inbox();
        let subscribed = client.subscribe(format!("{inbox}.*")).await;
        let deliveries =
            subscribed.map_err(|error| PortError::transient("subscribing to deliveries", error))?;
        let most = match consumer {
            Consumer::Recorder => RECORDER_PENDING,
            Consumer::Watch => WATCH_PENDING,
        };
        let state = State {
            deliveries: Deliveries::new(config.acknowledgement_wait, most),
            pulls: Pulls::default(),
            failed: None,
        };
        let reader = Self {
            consumer,
            requests,
            answer_within: config.answer_within,
            inbox,
            state: Mutex::new(state),
            changed: Notify::new(),
            suspicious: Notify::new(),
            turn: tokio::sync::Mutex::default(),
            acknowledging: Arc::new(Semaphore::new(ACKNOWLEDGING)),
            closing,
        };
        Ok((reader, deliveries))
    }

    /// What the consumer reads.
    fn filter(&self) -> &'static str {
        match self.consumer {
            Consumer::Recorder => ENDS,
            Consumer::Watch => STARTS,
        }
    }

    /// The consumer's name on the server.
    pub(crate) fn name(&self) -> &'static str {
        match self.consumer {
            Consumer::Recorder => RECORDER,
            Consumer::Watch => WATCH,
        }
    }

    /// Takes in what comes, until the log is closed; then what is on the way is given back where that can be.
    pub(crate) async fn receive(self: Arc<Self>, mut deliveries: Subscriber, garbage: mpsc::Sender<Garbage>) {
        while let Some(message) = self.closing.run_until_cancelled(deliveries.next()).await {
            let Some(message) = message else { return };
            self.arrived(message, &garbage);
        }
        // Without a connection nothing comes, and nobody can be told.
        if self.requests.is_connected() {
            let rest = async {
                // The server stops delivering; what it sent before that still comes.
                if deliveries.drain().await.is_ok() {
                    while let Some(message) = deliveries.next().await {
                        self.arrived(message, &garbage);
                    }
                }
            };
            // A server that says nothing any more gets its deliveries back by itself, after a while.
            let _ = timeout(self.answer_within, rest).await;
        }
        let held = self.state().deliveries.leave();
        self.changed.notify_waiters();
        if self.consumer == Consumer::Recorder && self.requests.is_connected() {
            for reply in held {
                let told = self.requests.tell(reply, Bytes::from_static(b"-NAK"), self.answer_within).await;
                if told.is_err() {
                    break;
                }
            }
        }
    }

    fn arrived(&self, message: async_nats::Message, garbage: &mpsc::Sender<Garbage>) {
        let now = Instant::now();
        let delivered = message.reply.as_ref().and_then(|reply| ack_subject::read(reply));
        let mut state = self.state();
        match (delivered, message.status) {
            // Whoever published it may have given it a status.
            (Some(delivered), _) => {
                state.pulls.came(now);
                let (sequence, reply) =
                    (delivered.sequence, message.reply.clone().unwrap_or_else(|| "".into()));
                match wire::received(&message) {
                    Ok(message) => {
                        let redelivered = delivered.times.saturating_sub(1);
                        state.deliveries.arrived(Arrived { sequence, message, redelivered, reply }, now);
                    }
                    // Where too many wait to be set aside, it comes again.
                    Err(reason) => {
                        drop(garbage.try_send(Garbage { sequence, reply: reply.into_string(), reason }));
                    }
                }
            }
            (None, Some(status)) => {
                let why = message.description.unwrap_or_default();
                let number = message.subject.rsplit_once('.').and_then(|(_, number)| number.parse().ok());
                // 404: nothing there; 408: nothing more in time; 409: too much for the request, or worse.
                let over = match status.as_u16() {
                    _ if why.contains("MaxBytes") => Over::TooLarge,
                    408 if why.contains("Requests Pending") => Over::Crowded,
                    404 | 408 => Over::Done,
                    code => {
                        self.requests.doubt();
                        state.failed = Some(format!("{code} {why}"));
                        Over::Done
                    }
                };
                state.pulls.over(number.unwrap_or_default(), over);
            }
            (None, None) => {}
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Looks for garbage that the client library can't even read, whenever a connection broke: it would break each one
    /// that it is delivered over.
    pub(crate) async fn suspect(self: Arc<Self>, garbage: mpsc::Sender<Garbage>) {
        loop {
            self.suspicious.notified().await;
            while let Err(error) =
                garbage::inspect(&self.requests, self.name(), self.filter(), &garbage, self.answer_within)
                    .await
            {
                tracing::debug!(%error, "what is being delivered can't be looked at yet");
                sleep(RETRY).await;
            }
        }
    }

    /// Answers to what was asked over an earlier connection don't come any more.
    pub(crate) fn connection_changed(&self) {
        let mut state = self.state();
        if state.pulls.lost() {
            state.failed = Some("the connection broke".to_owned());
            self.suspicious.notify_one();
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Takes the next deliveries; see the port.
    pub(crate) async fn next(&self, limit: PullLimit) -> PortResult<Vec<Delivery>> {
        let give_up = Instant::now() + limit.wait.min(FAR);
        let limit = PullLimit { messages: limit.messages.max(1), ..limit };
        let Ok(_turn) = timeout_at(give_up, self.turn.lock()).await else { return Ok(Vec::new()) };
        let mut asked = false;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            self.check_open()?;
            match self.look(limit, give_up, asked) {
                Look::Failed(why) => return Err(PortError::transient("asking for the next messages", why)),
                Look::Here(taken) => return Ok(taken),
                Look::Ask(question) => {
                    self.ask(question).await?;
                    asked = true;
                }
                Look::Wait(until) => tokio::select! { () = changed => {}, () = sleep_until(until) => {} },
            }
        }
    }

    /// What is to be done for whoever wants deliveries, and `asked` the server for them or not yet.
    fn look(&self, limit: PullLimit, give_up: Instant, asked: bool) -> Look {
        let now = Instant::now();
        let mut state = self.state();
        if let Some(why) = state.failed.take() {
            return Look::Failed(why);
        }
        let here = state.deliveries.ready(now);
        let expected = state.pulls.expected(here > 0, now);
        if state.pulls.take_silent() {
            // A server whose consumer got lost does not say so.
            self.requests.doubt();
        }
        match expected {
            // Whoever asked hears how that ends, and gives up then.
            Some(until) if here < limit.messages && now < until && (asked || now < give_up) => {
                Look::Wait(if asked { until } else { until.min(give_up) })
            }
            None if here < limit.messages && (!asked || (here == 0 && now < give_up)) => {
                let wanted = Wanted { messages: limit.messages - here, bytes: limit.bytes, until: give_up };
                let largest = self.requests.client().max_payload() + ENVELOPE;
                Look::Ask(state.pulls.ask(wanted, largest, now))
            }
            Some(_) | None => Look::Here(state.deliveries.take(limit, now)),
        }
    }

    async fn ask(&self, question: Question) -> PortResult<()> {
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{CAPTURE}.{}", self.name());
        let reply = format!("{}.{}", self.inbox, question.number);
        let body = Bytes::from(question.body.to_string());
        self.requests.ask(subject, reply, body, self.answer_within).await
    }

    fn check_open(&self) -> PortResult<()> {
        if self.closing.is_cancelled() {
            return Err(PortError::Transient("the log is closed".to_owned()));
        }
        self.requests.check_connected()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
