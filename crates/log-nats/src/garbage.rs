//! What is none of ours and stands where ours is read: set aside, so that it holds nobody up.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use verbatim_core::ports::{PortResult, Sequence};

use crate::ack_subject;
use crate::dead_letters::{self, Letter};
use crate::measure::Measures;
use crate::raw;
use crate::requests::Requests;
use crate::setup::CAPTURE;

/// What waits to be set aside; what is more comes again after the acknowledgement wait.
pub(crate) const WAITING: usize = 64;

/// A delivery that is no message of ours.
#[derive(Debug)]
pub(crate) struct Garbage {
    pub(crate) sequence: Sequence,
    /// Where it is acknowledged.
    pub(crate) reply: String,
    pub(crate) reason: String,
}

/// Sets aside what comes, one after the other.
pub(crate) async fn run(requests: Requests, mut garbage: mpsc::Receiver<Garbage>, within: Duration) {
    let measures = Measures::new();
    while let Some(garbage) = garbage.recv().await {
        let (sequence, reason) = (garbage.sequence, garbage.reason.clone());
        match bury(&requests, garbage, within).await {
            Ok(()) => {
                measures.garbage();
                tracing::error!(
                    sequence,
                    reason,
                    "a message of the log is none of ours: it went to the dead letters"
                );
            }
            // It comes again.
            Err(error) => {
                tracing::warn!(sequence, reason, %error, "garbage in the log could not be set aside now");
            }
        }
    }
}

/// Stores it whole, then acknowledges it.
async fn bury(requests: &Requests, garbage: Garbage, within: Duration) -> PortResult<()> {
    let Garbage { sequence, reply, reason } = garbage;
    if let Some(whole) = raw::get(requests, &json!({ "seq": sequence }), within).await? {
        dead_letters::store(requests, vec![Letter::of_garbage(whole, &reason)], within).await?;
    }
    let (deadline, subject) = (Instant::now() + within, ack_subject::to_acknowledge(&reply));
    let answer = requests.send(subject, None, Bytes::from_static(b"+ACK"), None, deadline).await?;
    answer.by(deadline).await.map(drop)
}

/// Looks through what a consumer's readers hold for messages that the client library can't read.
pub(crate) async fn inspect(
    requests: &Requests,
    consumer: &str,
    filter: &str,
    garbage: &mpsc::Sender<Garbage>,
    within: Duration,
) -> PortResult<()> {
    #[derive(Deserialize)]
    struct Position {
        stream_seq: Sequence,
    }
    #[derive(Deserialize)]
    struct Reading {
        delivered: Position,
        ack_floor: Position,
    }
    let name = format!("CONSUMER.INFO.{CAPTURE}.{consumer}");
    let reading = requests.api::<Reading>(&name, &json!({}), within).await;
    let reading = reading.map_err(|failure| failure.transient("asking how far a consumer is"))?;
    let mut from = reading.ack_floor.stream_seq + 1;
    while from <= reading.delivered.stream_seq {
        let question = json!({ "seq": from, "next_by_subj": filter });
        let Some(found) = raw::get(requests, &question, within).await? else { break };
        let sequence = found.sequence;
        if sequence <= reading.delivered.stream_seq && !found.is_readable() {
            let reply = ack_subject::write(CAPTURE, consumer, sequence);
            let reason = "its headers can't be read".to_owned();
            // Closed only where nobody sets anything aside any more.
            let _ = garbage.send(Garbage { sequence, reply, reason }).await;
        }
        from = sequence + 1;
    }
    Ok(())
}
