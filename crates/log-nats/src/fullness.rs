//! Keeps clear of the end of a stream's room.
//!
//! A stream that is told to refuse what it has no room for does not quite do so: the server counts a message without
//! what storing it takes, and where it has none left after that it lets go of its oldest, which was confirmed
//! (<https://github.com/nats-io/nats-server/issues/4775>, in every 2.9). So the last of the room is never written to.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;
use verbatim_core::ports::{PortError, PortResult};

use crate::requests::{ApiFailure, Requests};
use crate::setup::CAPTURE;
use crate::stream::StreamConfig;

/// This share of a stream's room is left free, and [`LEAST_MARGIN`] at least, but never more than half of it.
const MARGIN_SHARE: u64 = 16;
const LEAST_MARGIN: u64 = 4 << 20;
/// So many processes may fill the stream at once, each with as much on the way as it may have, and as much again that
/// was sent since it looked.
const WRITERS: u64 = 8;
/// What storing a message takes beside its payload: subject, headers, and what the server adds.
const OVERHEAD: u64 = 512;
/// A full stream is looked at again so soon.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

#[derive(Deserialize)]
struct StreamInfo {
    config: StreamConfig,
    state: StreamState,
}

#[derive(Deserialize)]
struct StreamState {
    bytes: u64,
}

/// What a look at the stream told, less what was sent since.
struct Look {
    at: Instant,
    bytes: u64,
    max_bytes: u64,
    /// Bytes that it has room for.
    room: u64,
    /// Bytes that one process may have on the way.
    share: u64,
    /// Bytes that may be sent before another look.
    unseen: u64,
}

/// Whether a message may be sent.
enum Taken {
    Yes,
    Full,
    /// Another look must tell.
    Unknown,
}

impl Look {
    fn new(info: &StreamInfo) -> Self {
        let bytes = info.state.bytes;
        // Without a bound of its own the stream has the account's, which a server keeps.
        let max_bytes = info.config.max_bytes().unwrap_or(u64::MAX);
        let margin = (max_bytes / MARGIN_SHARE).max(LEAST_MARGIN.min(max_bytes / 2));
        let share = (margin / WRITERS / 2).max(1);
        let room = (max_bytes - margin).saturating_sub(bytes);
        Self { at: Instant::now(), bytes, max_bytes, room, share, unseen: share }
    }

    /// Takes room for a message; one that is larger than a share has it alone.
    fn take(&mut self, bytes: u64) -> Taken {
        let shared = bytes.min(self.share);
        if bytes > self.room {
            Taken::Full
        } else if shared > self.unseen {
            Taken::Unknown
        } else {
            self.room -= bytes;
            self.unseen -= shared;
            Taken::Yes
        }
    }
}

/// How full the capture stream is, as one process knows it.
pub(crate) struct Fullness {
    requests: Requests,
    answer_within: Duration,
    last: Mutex<Option<Look>>,
}

impl Fullness {
    pub(crate) fn new(requests: Requests, answer_within: Duration) -> Self {
        Self { requests, answer_within, last: Mutex::const_new(None) }
    }

    /// Takes room in the stream for a message with a payload of so many bytes; gives how many bytes this process may
    /// have on the way.
    ///
    /// # Errors
    /// Transient ones: the stream is full, or does not answer.
    pub(crate) async fn take(&self, payload: usize) -> PortResult<u64> {
        let bytes = payload as u64 + OVERHEAD;
        let mut last = self.last.lock().await;
        if let Some(look) = last.as_mut() {
            match look.take(bytes) {
                Taken::Yes => return Ok(look.share),
                Taken::Full if look.at.elapsed() < LOOK_AGAIN => return Err(self.full(look)),
                Taken::Full | Taken::Unknown => {}
            }
        }
        let look = last.insert(self.look().await?);
        match look.take(bytes) {
            Taken::Yes => Ok(look.share),
            Taken::Full | Taken::Unknown => Err(self.full(look)),
        }
    }

    async fn look(&self) -> PortResult<Look> {
        let name = format!("STREAM.INFO.{CAPTURE}");
        match self.requests.api::<StreamInfo>(&name, &json!({}), self.answer_within).await {
            Ok(info) => Ok(Look::new(&info)),
            Err(failure) => {
                if matches!(&failure, ApiFailure::Api(error) if error.is_not_found()) {
                    self.requests.doubt();
                }
                Err(failure.transient("asking how full the capture stream is"))
            }
        }
    }

    fn full(&self, look: &Look) -> PortError {
        let (shown, bytes, max) = (self.requests.shown(), look.bytes, look.max_bytes);
        PortError::Transient(format!(
            "the capture stream of NATS at {shown} is full: it holds {bytes} bytes of {max}, the last of which are \
             kept free; it takes messages again when recorders have archived some"
        ))
    }
}
