//! What the stream holds, and how far it was read.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use async_nats::StatusCode;
use async_nats::header::{NATS_SEQUENCE, NATS_SUBJECT};
use futures_util::{StreamExt, TryStreamExt, stream, try_join};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use verbatim_core::ports::{Floors, LogHealth, Message, PortError, PortResult, Sequence};

use crate::raw;
use crate::requests::{Answer, Requests};
use crate::setup::{CAPTURE, DEAD_LETTERS, ENDS, RECORDER, STARTS, WATCH};
use crate::wire;

/// Bytes of answers that may be on the way, in [`UNIT`]s. A server gives a client up that leaves 64 MiB unread.
const ROOM: usize = (24 << 20) / UNIT;
const UNIT: usize = 1024;
/// The least that an answer counts for; so at most 1024 are on the way.
const LEAST: usize = ROOM / 1024;
/// So many places that a replica does not hold are asked for at the leader at once.
const ASKED_AGAIN: usize = 16;
/// Messages purged at once: a server does nothing else meanwhile.
const PURGED_AT_ONCE: Sequence = 250_000;

#[derive(Deserialize)]
struct StreamInfo {
    config: StreamConfig,
    state: StreamState,
}

#[derive(Deserialize)]
pub(crate) struct StreamConfig {
    max_bytes: i64,
}

impl StreamConfig {
    /// `None` where the account bounds the stream.
    pub(crate) fn max_bytes(&self) -> Option<u64> {
        u64::try_from(self.max_bytes).ok().filter(|max| *max > 0)
    }
}

#[derive(Deserialize)]
struct StreamState {
    messages: u64,
    bytes: u64,
    first_seq: Sequence,
    last_seq: Sequence,
}

#[derive(Deserialize)]
struct ConsumerInfo {
    num_pending: u64,
    num_ack_pending: u64,
    ack_floor: AckFloor,
}

#[derive(Deserialize)]
struct AckFloor {
    stream_seq: Sequence,
}

#[derive(Deserialize)]
struct Purged {
    success: bool,
}

/// The capture stream.
pub(crate) struct Stream {
    requests: Requests,
    answer_within: Duration,
    reading: Arc<Semaphore>,
    /// What the next answer may take, in [`UNIT`]s: the largest of late.
    expected: AtomicUsize,
    /// The connection broke while messages were read: what is there may be what broke it.
    careful: AtomicBool,
}

/// Where in the answer, and where in the log.
type Place = (usize, Sequence);

impl Stream {
    pub(crate) fn new(requests: Requests, answer_within: Duration) -> Self {
        let reading = Arc::new(Semaphore::new(ROOM));
        let expected = AtomicUsize::new(64 * 1024 / UNIT);
        Self { requests, answer_within, reading, expected, careful: AtomicBool::new(false) }
    }

    /// Messages by place; see the port. Any replica is asked; what it does not hold is asked of the leader.
    pub(crate) async fn read(&self, sequences: &[Sequence]) -> PortResult<Vec<Option<Message>>> {
        let connection = self.requests.connection();
        let mut messages = vec![None; sequences.len()];
        let places: Vec<_> = sequences.iter().copied().enumerate().collect();
        let absent = match self.careful.swap(false, Relaxed) {
            true => Ok(places),
            false => self.read_anywhere(&places, &mut messages).await,
        };
        if absent.is_err() && (!self.requests.is_connected() || self.requests.connection() != connection) {
            self.careful.store(true, Relaxed);
        }
        self.read_at_leader(absent?, &mut messages).await?;
        Ok(messages)
    }

    /// Direct gets; gives what was not there.
    async fn read_anywhere(&self, places: &[Place], into: &mut [Option<Message>]) -> PortResult<Vec<Place>> {
        let mut answers = Vec::with_capacity(places.len());
        // Zero is the place of nothing, and no question.
        for &place in places.iter().filter(|(_, sequence)| *sequence > 0) {
            answers.push((place, self.ask(place.1).await?));
        }
        let mut absent = Vec::new();
        for (place, (answer, deadline)) in answers {
            let found = answer.by(deadline).await?;
            match found.status {
                None => into[place.0] = self.received(&found),
                // Not here; or whoever published it gave it a status.
                Some(StatusCode::NOT_FOUND) => absent.push(place),
                Some(_)
                    if found.headers.as_ref().is_some_and(|headers| headers.get(NATS_SEQUENCE).is_some()) =>
                {
                    absent.push(place);
                }
                Some(status) => {
                    let why = found.description.unwrap_or_default();
                    return Err(PortError::transient("reading from the stream", format!("{status} {why}")));
                }
            }
        }
        Ok(absent)
    }

    async fn read_at_leader(&self, places: Vec<Place>, into: &mut [Option<Message>]) -> PortResult<()> {
        let asked =
            places.into_iter().filter(|(_, sequence)| *sequence > 0).map(|(place, sequence)| async move {
                let found = raw::get(&self.requests, &json!({ "seq": sequence }), self.answer_within).await?;
                PortResult::Ok((place, found))
            });
        let mut found = stream::iter(asked).buffered(ASKED_AGAIN);
        while let Some((place, found)) = found.try_next().await? {
            into[place] = found.and_then(|found| found.message().ok());
        }
        Ok(())
    }

    async fn ask(&self, sequence: Sequence) -> PortResult<(Answer, Instant)> {
        let units = u32::try_from(self.expected.load(Relaxed).clamp(LEAST, ROOM)).expect("the room is small");
        let deadline = Instant::now() + self.answer_within;
        let room = timeout_at(deadline, Arc::clone(&self.reading).acquire_many_owned(units)).await;
        let Ok(Ok(room)) = room else {
            let shown = self.requests.shown();
            return Err(PortError::Transient(format!(
                "NATS at {shown} did not answer earlier reads in time"
            )));
        };
        let (subject, question) =
            (format!("$JS.API.DIRECT.GET.{CAPTURE}"), format!("{{\"seq\":{sequence}}}"));
        let deadline = Instant::now() + self.answer_within;
        let answer = self.requests.send(subject, None, question.into(), Some(room), deadline).await?;
        Ok((answer, deadline))
    }

    fn received(&self, found: &async_nats::Message) -> Option<Message> {
        let units = found.length.div_ceil(UNIT);
        let before = self.expected.load(Relaxed);
        self.expected.store(units.max(before - before / 16), Relaxed);
        let header = |name| found.headers.as_ref().and_then(|headers| headers.get(name));
        let exchange = header(wire::EXCHANGE).map(|exchange| exchange.as_str());
        wire::message(header(NATS_SUBJECT)?.as_str(), exchange, found.payload.clone()).ok()
    }

    /// How far it was read; see the port.
    pub(crate) async fn floors(&self) -> PortResult<Floors> {
        // First: what is written from now on is no part of what is found to be read.
        let last = self.state(CAPTURE).await?.last_seq;
        let (recorder, watch) = try_join!(self.floor(RECORDER, ENDS, last), self.floor(WATCH, STARTS, last))?;
        Ok(Floors { recorder, watch, last })
    }

    /// A consumer's floor, `last` being the last sequence of a moment ago.
    async fn floor(&self, consumer: &str, subject: &str, last: Sequence) -> PortResult<Sequence> {
        let info = self.consumer(consumer).await?;
        let acknowledged = info.ack_floor.stream_seq;
        if info.num_ack_pending > 0 {
            return Ok(acknowledged);
        }
        // The server's count of what is pending is off at times (2.9, where a filter has a wildcard), or a moment late
        // (2.10). So the stream itself is asked: what is not acknowledged must never be purged.
        let newest =
            raw::get(&self.requests, &json!({ "last_by_subj": subject }), self.answer_within).await?;
        Ok(match newest.is_none_or(|newest| newest.sequence <= acknowledged) {
            true => last.max(acknowledged),
            false => acknowledged,
        })
    }

    /// Lets go of what is below, in steps; of the last message only when another has come. Tells below what it let go.
    pub(crate) async fn purge(&self, floor: Sequence) -> PortResult<Sequence> {
        let state = self.state(CAPTURE).await?;
        // Behind the last message a server purges everything, and with it what it confirms meanwhile (2.9 to 2.11);
        // beyond that, sequences would jump.
        let floor = floor.min(state.last_seq);
        // Below the second message there is at most one, and JetStream takes 0 and 1 for everything.
        let mut below = state.first_seq.max(1);
        while below < floor {
            below = below.saturating_add(PURGED_AT_ONCE).min(floor);
            let purged: Purged = self
                .api(&format!("STREAM.PURGE.{CAPTURE}"), &json!({ "seq": below }), "purging the stream")
                .await?;
            if !purged.success {
                return Err(PortError::transient("purging the stream", "the server did not do it"));
            }
        }
        Ok(floor)
    }

    /// What is waiting.
    pub(crate) async fn health(&self) -> PortResult<LogHealth> {
        let (capture, letters, recorder) =
            try_join!(self.info(CAPTURE), self.state(DEAD_LETTERS), self.consumer(RECORDER))?;
        let StreamInfo { config, state: capture } = capture;
        Ok(LogHealth {
            bytes: capture.bytes,
            max_bytes: config.max_bytes(),
            messages: capture.messages,
            // The server's count (2.9) may be off, and even below nothing.
            ends_pending: recorder.num_pending.saturating_add(recorder.num_ack_pending).min(capture.messages),
            dead_letters: letters.messages,
        })
    }

    async fn state(&self, stream: &str) -> PortResult<StreamState> {
        Ok(self.info(stream).await?.state)
    }

    async fn info(&self, stream: &str) -> PortResult<StreamInfo> {
        let doing = format!("asking how stream {stream} is");
        self.api(&format!("STREAM.INFO.{stream}"), &json!({}), &doing).await
    }

    async fn consumer(&self, consumer: &str) -> PortResult<ConsumerInfo> {
        let doing = format!("asking how consumer {consumer} is");
        self.api(&format!("CONSUMER.INFO.{CAPTURE}.{consumer}"), &json!({}), &doing).await
    }

    async fn api<T: DeserializeOwned>(&self, name: &str, question: &Value, doing: &str) -> PortResult<T> {
        let asked = self.requests.api(name, question, self.answer_within).await;
        asked.map_err(|failure| failure.transient(doing))
    }
}
