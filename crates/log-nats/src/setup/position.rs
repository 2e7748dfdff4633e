//! A consumer must not be further than its stream.
//!
//! A server writes to disk what it took only now and then: when its machine crashes, the stream may have lost its last
//! messages while the consumer has not lost its place. What is written next gets the same sequences again, and would
//! never be delivered. Such a consumer is made anew: what the log still holds is read once more, to no harm.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{CAPTURE, Wanted, ensure_one};
use crate::config::Config;
use crate::error::NatsLogError;
use crate::requests::{ApiFailure, Requests};

#[derive(Deserialize)]
struct Consumer {
    delivered: Delivered,
}

#[derive(Deserialize)]
struct Delivered {
    stream_seq: u64,
}

#[derive(Deserialize)]
struct Stream {
    config: Replicas,
    state: State,
}

#[derive(Deserialize)]
struct Replicas {
    num_replicas: u8,
}

#[derive(Deserialize)]
struct State {
    last_seq: u64,
}

/// Makes a consumer anew that is further than its stream.
pub(super) async fn ensure(
    requests: &Requests,
    config: &Config,
    name: &str,
    wanted: &Wanted,
) -> Result<(), NatsLogError> {
    let failed = |failure: ApiFailure| NatsLogError::Unreachable {
        address: requests.shown().to_owned(),
        why: failure.transient(&format!("asking how far {} is", wanted.what)).to_string(),
    };
    let (nothing, within) = (json!({}), config.answer_within);
    // In this order: what is written between the two is no loss.
    let consumer = requests.api::<Consumer>(&wanted.info, &nothing, within).await.map_err(failed)?;
    let stream = format!("STREAM.INFO.{CAPTURE}");
    let stream = requests.api::<Stream>(&stream, &nothing, within).await.map_err(failed)?;
    let (delivered, last) = (consumer.delivered.stream_seq, stream.state.last_seq);
    // Replicas keep what one of them loses; and the one that answers may be a moment behind.
    if delivered <= last || stream.config.num_replicas > 1 {
        return Ok(());
    }
    tracing::error!(
        what = wanted.what,
        delivered,
        last,
        "the capture stream lost its last messages, as when the machine of NATS crashes; reading again what it holds"
    );
    let delete = format!("CONSUMER.DELETE.{CAPTURE}.{name}");
    requests.api::<Value>(&delete, &nothing, within).await.map_err(failed)?;
    ensure_one(requests, config, wanted).await
}
