//! One process's end of a durable consumer that it shares with others.

mod answering;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::Subscriber;
use bytes::Bytes;
use futures_util::{StreamExt, try_join};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::{Consumer, Delivery, PortError, PortResult, PullLimit};

use crate::ack_subject;
use crate::config::Config;
use crate::deliveries::{Arrived, Deliveries};
use crate::garbage::{self, Garbage};
use crate::pull::{Asked, Pulls, Question};
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

/// Where a reader's messages come.
pub(crate) struct Deliverers {
    all: Subscriber,
    one: Subscriber,
}

fn inbox_subject(inbox: &str, asked: Asked, number: &dyn std::fmt::Display) -> String {
    match asked {
        Asked::All => format!("{inbox}.all.{number}"),
        Asked::One => format!("{inbox}.one.{number}"),
    }
}

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

impl Reader {
    /// A reader, and where its messages come; they are taken in while [`Reader::receive`] runs.
    pub(crate) async fn new(
        consumer: Consumer,
        config: &Config,
        requests: Requests,
        closing: CancellationToken,
    ) -> PortResult<(Self, Deliverers)> {
        let client = requests.client();
        let inbox = client.new_inbox();
        // A message comes under its own subject: what it was asked for can only be told by the subscription.
        let subscribed = try_join!(
            client.subscribe(inbox_subject(&inbox, Asked::All, &"*")),
            client.subscribe(inbox_subject(&inbox, Asked::One, &"*"))
        );
        let (all, one) =
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
        Ok((reader, Deliverers { all, one }))
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
    pub(crate) async fn receive(self: Arc<Self>, deliverers: Deliverers, garbage: mpsc::Sender<Garbage>) {
        let Deliverers { mut all, mut one } = deliverers;
        loop {
            let (asked, message) = tokio::select! {
                message = all.next() => (Asked::All, message),
                message = one.next() => (Asked::One, message),
                () = self.closing.cancelled() => break,
            };
            let Some(message) = message else { return };
            self.arrived(asked, message, &garbage);
        }
        // Without a connection nothing comes, and nobody can be told.
        if self.requests.is_connected() {
            let rest = async {
                for (asked, mut messages) in [(Asked::All, all), (Asked::One, one)] {
                    // The server stops delivering; what it sent before that still comes.
                    if messages.drain().await.is_ok() {
                        while let Some(message) = messages.next().await {
                            self.arrived(asked, message, &garbage);
                        }
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

    fn arrived(&self, asked: Asked, message: async_nats::Message, garbage: &mpsc::Sender<Garbage>) {
        let now = Instant::now();
        let delivered = message.reply.as_ref().and_then(|reply| ack_subject::read(reply));
        let mut state = self.state();
        match (delivered, message.status) {
            // Whoever published it may have given it a status.
            (Some(delivered), _) => {
                state.pulls.came(asked, now);
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
                state.pulls.over(asked, number.unwrap_or_default(), why.contains("MaxBytes"));
                // 404: nothing there; 408: nothing more in time; 409: too much for the request, or worse.
                if !matches!(status.as_u16(), 404 | 408) && !why.contains("MaxBytes") {
                    self.requests.doubt();
                    state.failed = Some(format!("{} {why}", status.as_u16()));
                }
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
        loop {
            self.gather(limit).await?;
            let now = Instant::now();
            let taken = self.state().deliveries.take(limit, now);
            if !taken.is_empty() || now >= give_up {
                return Ok(taken);
            }
            self.wait_for_one(give_up).await?;
        }
    }

    /// Gets what is there now, up to the limit.
    async fn gather(&self, limit: PullLimit) -> PortResult<()> {
        let mut asked = false;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            self.check_open()?;
            let now = Instant::now();
            let (until, question) = {
                let mut state = self.state();
                state.check_failed()?;
                let here = state.deliveries.ready(now);
                let gathering = state.pulls.gathering(now);
                self.doubt_if(state.pulls.take_silent());
                match gathering {
                    Some(until) => (until, None),
                    None if asked || here >= limit.messages => return Ok(()),
                    None => {
                        let largest = self.requests.client().max_payload() + ENVELOPE;
                        let wanted = limit.messages - here;
                        (now, Some(state.pulls.ask_all(wanted, limit.bytes, largest, now)))
                    }
                }
            };
            if let Some(question) = question {
                self.ask(question).await?;
                asked = true;
                continue;
            }
            tokio::select! { () = changed => {}, () = sleep_until(until) => {} }
        }
    }

    /// Waits until something is there, or it is time to give up.
    async fn wait_for_one(&self, give_up: Instant) -> PortResult<()> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            self.check_open()?;
            let now = Instant::now();
            let (until, question) = {
                let mut state = self.state();
                state.check_failed()?;
                if state.deliveries.ready(now) > 0 || now >= give_up {
                    return Ok(());
                }
                let waiting = state.pulls.waiting(now);
                self.doubt_if(state.pulls.take_silent());
                match waiting {
                    Some(until) => (until.min(give_up), None),
                    None => (now, Some(state.pulls.ask_one(give_up - now, now))),
                }
            };
            if let Some(question) = question {
                self.ask(question).await?;
                continue;
            }
            tokio::select! { () = changed => {}, () = sleep_until(until) => {} }
        }
    }

    async fn ask(&self, question: Question) -> PortResult<()> {
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{CAPTURE}.{}", self.name());
        let reply = inbox_subject(&self.inbox, question.asked, &question.number);
        let body = Bytes::from(question.body.to_string());
        self.requests.ask(subject, reply, body, self.answer_within).await
    }

    /// A server whose consumer got lost does not say so.
    fn doubt_if(&self, silent: bool) {
        if silent {
            self.requests.doubt();
        }
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

impl State {
    fn check_failed(&mut self) -> PortResult<()> {
        match self.failed.take() {
            Some(why) => Err(PortError::transient("asking for the next messages", why)),
            None => Ok(()),
        }
    }
}
