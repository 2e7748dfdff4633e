//! Requests and their answers, many at a time, over one inbox.
//!
//! The client library has such a thing, too; but there an answer that never comes is waited for in memory for good.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::client::{PublishError, PublishErrorKind};
use async_nats::connection::State;
use async_nats::header::NATS_SEQUENCE;
use async_nats::{Client, HeaderMap, Message, StatusCode, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use tokio::time::{Duration, Instant, timeout_at};
use verbatim_core::ports::{PortError, PortResult};

/// An error of JetStream's API.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ApiError {
    #[serde(default)]
    pub(crate) code: u16,
    /// See `server/errors.json` of nats-server.
    #[serde(default)]
    pub(crate) err_code: u16,
    #[serde(default)]
    pub(crate) description: String,
}

impl ApiError {
    /// No such stream, consumer or message.
    pub(crate) fn is_not_found(&self) -> bool {
        self.code == 404
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (JetStream error {})", self.description, self.err_code)
    }
}

/// Why a request to JetStream's API did not work.
#[derive(Debug)]
pub(crate) enum ApiFailure {
    /// No answer.
    Port(PortError),
    /// The answer is an error.
    Api(ApiError),
}

impl ApiFailure {
    /// For requests that can only fail for now.
    pub(crate) fn transient(self, doing: &str) -> PortError {
        match self {
            Self::Port(error) => error,
            Self::Api(error) => PortError::transient(doing, error),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ApiAnswer<T> {
    Failed { error: ApiError },
    Worked(T),
}

struct Waiting {
    answer: oneshot::Sender<Message>,
    /// The connection that the request went over, counted from the first.
    connection: u64,
    /// Given back as soon as the answer is here, whether or not anybody looks at it.
    _room: Option<OwnedSemaphorePermit>,
}

struct Inner {
    client: Client,
    shown: String,
    inbox: String,
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, Waiting>>,
    /// Streams and consumers may not be there.
    doubt: Notify,
}

impl Inner {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's requests.
#[derive(Clone)]
pub(crate) struct Requests {
    inner: Arc<Inner>,
}

/// An answer that is still to come. Dropped, nobody waits for it.
pub(crate) struct Answer {
    key: u64,
    receiver: oneshot::Receiver<Message>,
    inner: Arc<Inner>,
}

impl Requests {
    /// Requests over this client; answers come while [`Requests::deliver`] runs on the subscription that comes with it.
    pub(crate) async fn new(client: Client, shown: &str) -> PortResult<(Self, Subscriber)> {
        let inbox = client.new_inbox();
        let subscribed = client.subscribe(format!("{inbox}.*")).await;
        let answers =
            subscribed.map_err(|error| PortError::transient("subscribing to answers of NATS", error))?;
        let inner = Inner {
            client,
            shown: shown.to_owned(),
            inbox,
            next: AtomicU64::new(0),
            waiting: Mutex::default(),
            doubt: Notify::new(),
        };
        Ok((Self { inner: Arc::new(inner) }, answers))
    }

    /// Hands answers to those who wait for them, until the connection is closed.
    pub(crate) async fn deliver(self, mut answers: Subscriber) {
        while let Some(message) = answers.next().await {
            let key = message.subject.rsplit_once('.').and_then(|(_, key)| key.parse().ok());
            if answers_nobody(&message) {
                self.doubt();
            }
            let waiting = key.and_then(|key: u64| self.inner.waiting().remove(&key));
            if let Some(waiting) = waiting {
                // Whoever does not wait any more does not need it.
                let _ = waiting.answer.send(message);
            }
        }
    }

    /// Gives up on answers that can't come any more because their connection is gone.
    pub(crate) fn connection_changed(&self) {
        let current = self.connection();
        let connected = self.is_connected();
        self.inner.waiting().retain(|_, waiting| connected && waiting.connection == current);
    }

    /// Has it looked at whether streams and consumers are there.
    pub(crate) fn doubt(&self) {
        self.inner.doubt.notify_one();
    }

    /// Until there is reason to look whether streams and consumers are there.
    pub(crate) async fn doubted(&self) {
        self.inner.doubt.notified().await;
    }

    pub(crate) fn client(&self) -> &Client {
        &self.inner.client
    }

    /// Where the server is, for people.
    pub(crate) fn shown(&self) -> &str {
        &self.inner.shown
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.inner.client.connection_state() == State::Connected
    }

    /// Nothing is sent that would only be stored up for a later connection.
    pub(crate) fn check_connected(&self) -> PortResult<()> {
        match self.is_connected() {
            true => Ok(()),
            false => Err(PortError::Transient(format!("NATS at {} is not connected", self.inner.shown))),
        }
    }

    /// Which connection it is, counted from the first.
    pub(crate) fn connection(&self) -> u64 {
        self.inner.client.statistics().connects.load(Relaxed)
    }

    /// Sends a request. `room` is kept until the answer is here. A server that reads nothing holds it up, until the
    /// deadline at most.
    pub(crate) async fn send(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
        room: Option<OwnedSemaphorePermit>,
        deadline: Instant,
    ) -> PortResult<Answer> {
        self.check_connected()?;
        let key = self.inner.next.fetch_add(1, Relaxed);
        let (sender, receiver) = oneshot::channel();
        let waiting = Waiting { answer: sender, connection: self.connection(), _room: room };
        self.inner.waiting().insert(key, waiting);
        let answer = Answer { key, receiver, inner: Arc::clone(&self.inner) };
        let (client, reply) = (&self.inner.client, format!("{}.{key}", self.inner.inbox));
        let sending = async {
            match headers {
                Some(headers) => {
                    client.publish_with_reply_and_headers(subject, reply, headers, payload).await
                }
                None => client.publish_with_reply(subject, reply, payload).await,
            }
        };
        self.sent(sending, deadline).await.map(|()| answer)
    }

    /// Sends what has no answer.
    pub(crate) async fn tell(&self, subject: Subject, payload: Bytes, within: Duration) -> PortResult<()> {
        self.check_connected()?;
        self.sent(self.inner.client.publish(subject, payload), Instant::now() + within).await
    }

    /// Sends what is answered elsewhere.
    pub(crate) async fn ask(
        &self,
        subject: String,
        reply: String,
        payload: Bytes,
        within: Duration,
    ) -> PortResult<()> {
        self.check_connected()?;
        let sending = self.inner.client.publish_with_reply(subject, reply, payload);
        self.sent(sending, Instant::now() + within).await
    }

    async fn sent(
        &self,
        sending: impl Future<Output = Result<(), PublishError>>,
        deadline: Instant,
    ) -> PortResult<()> {
        match timeout_at(deadline, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                Err(PortError::permanent("sending to NATS", error))
            }
            Ok(Err(error)) => Err(PortError::transient("sending to NATS", error)),
            Err(_) => Err(PortError::Transient(format!("NATS at {} takes nothing now", self.inner.shown))),
        }
    }

    /// Returns once the server has read all that was sent before: it answers in order.
    pub(crate) async fn round_trip(&self, within: Duration) -> PortResult<()> {
        let asked = self.api::<Value>("INFO", &json!({}), within).await;
        asked.map(drop).map_err(|failure| failure.transient("asking NATS for an answer"))
    }

    /// Asks JetStream's API.
    pub(crate) async fn api<T: DeserializeOwned>(
        &self,
        name: &str,
        question: &Value,
        within: Duration,
    ) -> Result<T, ApiFailure> {
        let deadline = Instant::now() + within;
        let question = Bytes::from(question.to_string());
        let answer = async {
            let answer = self.send(format!("$JS.API.{name}"), None, question, None, deadline).await?;
            answer.by(deadline).await
        };
        let answer = answer.await.map_err(ApiFailure::Port)?;
        match serde_json::from_slice(&answer.payload) {
            Ok(ApiAnswer::Failed { error }) => Err(ApiFailure::Api(error)),
            Ok(ApiAnswer::Worked(answer)) => Ok(answer),
            Err(error) => {
                let doing = format!("reading what JetStream answered to {name}");
                Err(ApiFailure::Port(PortError::transient(doing, error)))
            }
        }
    }
}

impl Answer {
    /// The answer, if it comes in time.
    pub(crate) async fn by(mut self, deadline: Instant) -> PortResult<Message> {
        let shown = &self.inner.shown;
        match timeout_at(deadline, &mut self.receiver).await {
            Ok(Ok(message)) if answers_nobody(&message) => Err(PortError::Transient(format!(
                "nobody answers at NATS at {shown}: JetStream is not ready"
            ))),
            Ok(Ok(message)) => Ok(message),
            Ok(Err(_)) => Err(PortError::Transient(format!(
                "the connection to NATS at {shown} broke before the answer"
            ))),
            Err(_) => Err(PortError::Transient(format!("NATS at {shown} did not answer in time"))),
        }
    }
}

/// Whether the server says that nobody takes such requests. Whoever published a message that is read may have given it
/// that status, too.
fn answers_nobody(answer: &Message) -> bool {
    let is_stored = answer.headers.as_ref().is_some_and(|headers| headers.get(NATS_SEQUENCE).is_some());
    answer.status == Some(StatusCode::NO_RESPONDERS) && !is_stored
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.inner.waiting().remove(&self.key);
    }
}
