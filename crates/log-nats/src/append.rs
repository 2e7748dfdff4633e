//! Appending: many messages on the way at once, each with its own answer.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use verbatim_core::ports::{Message, PortError, PortResult, Sequence};

use crate::fullness::Fullness;
use crate::measure::Measures;
use crate::requests::{Answer, ApiError, Requests};
use crate::wire;

/// Payload bytes that may be on the way, in [`UNIT`]s. The server's own queue has no bound (2.9).
const ROOM: usize = (32 << 20) / UNIT;
const UNIT: usize = 1024;
/// The least that a message counts for: so the number of messages on the way is bounded, too, to 4096.
const LEAST: usize = 8;
/// `message size exceeds maximum allowed`.
const TOO_LARGE: u16 = 10054;

/// What a stream answers to a message.
#[derive(Deserialize)]
struct Stored {
    #[serde(default)]
    seq: Sequence,
    error: Option<ApiError>,
}

/// Publishes to streams.
pub(crate) struct Appender {
    requests: Requests,
    answer_within: Duration,
    room: Arc<Semaphore>,
    fullness: Fullness,
    measures: Measures,
}

impl Appender {
    pub(crate) fn new(requests: Requests, answer_within: Duration) -> Self {
        let fullness = Fullness::new(requests.clone(), answer_within);
        let room = Arc::new(Semaphore::new(ROOM));
        Self { requests, answer_within, room, fullness, measures: Measures::new() }
    }

    /// See the port. The order is kept on the way: one connection, one stream.
    pub(crate) async fn append(&self, messages: Vec<Message>) -> Vec<PortResult<Sequence>> {
        let began = Instant::now();
        let deadline = began + self.answer_within;
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            let bytes = message.payload.len();
            answers.push((bytes, self.publish(message, deadline).await));
        }
        let (mut results, mut count, mut bytes) = (Vec::with_capacity(answers.len()), 0, 0);
        for (length, answer) in answers {
            let stored = match answer {
                Ok(answer) => stored(answer, deadline).await,
                Err(error) => Err(error),
            };
            if stored.is_ok() {
                count += 1;
                bytes += length as u64;
            }
            results.push(stored);
        }
        self.measures.appended(count, bytes, began.elapsed());
        results
    }

    async fn publish(&self, message: Message, deadline: Instant) -> PortResult<Answer> {
        let Some(subject) = wire::subject(&message) else {
            let length = message.gateway.len();
            return Err(PortError::Permanent(format!(
                "a gateway's name of {length} bytes is too long for NATS"
            )));
        };
        let headers = wire::headers(message.exchange);
        let share = self.fullness.take(message.payload.len()).await?;
        let room = self.room(message.payload.len(), share, deadline).await?;
        self.requests.send(subject, Some(headers), message.payload, Some(room), deadline).await
    }

    /// Waits for room on the way; where less than [`ROOM`] may be there, everything counts for more.
    async fn room(&self, bytes: usize, share: u64, deadline: Instant) -> PortResult<OwnedSemaphorePermit> {
        let times = ROOM.div_ceil(usize::try_from(share).unwrap_or(usize::MAX).div_ceil(UNIT));
        let units = bytes.div_ceil(UNIT).max(LEAST).saturating_mul(times).min(ROOM);
        let units = u32::try_from(units).expect("the room is small");
        match timeout_at(deadline, Arc::clone(&self.room).acquire_many_owned(units)).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) | Err(_) => {
                let shown = self.requests.shown();
                Err(PortError::Transient(format!("NATS at {shown} did not take earlier messages in time")))
            }
        }
    }
}

/// Where a message is durable.
pub(crate) async fn stored(answer: Answer, deadline: Instant) -> PortResult<Sequence> {
    let answer = answer.by(deadline).await?;
    let read = serde_json::from_slice::<Stored>(&answer.payload);
    match read.map_err(|error| PortError::transient("reading what the stream answered", error))? {
        Stored { error: None, seq: 0 } => {
            Err(PortError::transient("storing a message", "the answer names no sequence"))
        }
        Stored { error: None, seq } => Ok(seq),
        Stored { error: Some(error), .. } if error.err_code == TOO_LARGE => {
            Err(PortError::permanent("storing a message", error))
        }
        Stored { error: Some(error), .. } => Err(PortError::transient("storing a message", error)),
    }
}
