//! Messages as the stream's leader holds them, read one at a time over JetStream's API.
//!
//! Slower than direct gets; but what the leader does not have is not there, and what a message's headers say can't
//! disturb the connection.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use verbatim_core::ports::{Message, PortResult, Sequence};

use crate::requests::{ApiFailure, Requests};
use crate::setup::CAPTURE;
use crate::wire;

/// A stored message.
#[derive(Debug, Deserialize)]
pub(crate) struct Raw {
    #[serde(rename = "seq")]
    pub(crate) sequence: Sequence,
    pub(crate) subject: String,
    #[serde(rename = "hdrs", default, deserialize_with = "decode")]
    headers: Bytes,
    #[serde(rename = "data", default, deserialize_with = "decode")]
    pub(crate) payload: Bytes,
}

#[derive(Deserialize)]
struct Found {
    message: Raw,
}

fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map(Bytes::from).map_err(serde::de::Error::custom)
}

/// Asks the leader of the capture stream; the question is one of `STREAM.MSG.GET`.
pub(crate) async fn get(requests: &Requests, question: &Value, within: Duration) -> PortResult<Option<Raw>> {
    match requests.api::<Found>(&format!("STREAM.MSG.GET.{CAPTURE}"), question, within).await {
        Ok(Found { message }) => Ok(Some(message)),
        Err(ApiFailure::Api(error)) if error.is_not_found() => Ok(None),
        Err(failure) => Err(failure.transient("reading from the stream's leader")),
    }
}

impl Raw {
    /// The message, or why it is none of ours.
    pub(crate) fn message(&self) -> Result<Message, String> {
        let payload = self.payload.clone();
        wire::message(&self.subject, self.header(wire::EXCHANGE.as_ref())?, payload)
    }

    fn header(&self, name: &str) -> Result<Option<&str>, String> {
        let text = std::str::from_utf8(&self.headers).map_err(|_| "its headers are no text".to_owned())?;
        let lines = text.split("\r\n").skip(1).filter(|line| !line.is_empty());
        let mut found = None;
        for line in lines {
            let (key, value) = line.split_once(':').ok_or("its headers are broken")?;
            if key == name {
                found = found.or(Some(value.trim()));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use verbatim_core::model::ExchangeId;

    use super::*;

    fn raw(headers: impl AsRef<[u8]>) -> Raw {
        let headers = STANDARD.encode(headers.as_ref());
        let data = STANDARD.encode("payload");
        let json =
            format!(r#"{{"seq":7,"subject":"cap.end.g.00","hdrs":"{headers}","data":"{data}","time":"x"}}"#);
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_stored_message_is_read_and_garbage_is_told_apart() {
        let id = ExchangeId::mint();
        let message =
            raw(format!("NATS/1.0\r\nOther: 1\r\nVerbatim-Exchange: {id}\r\n\r\n")).message().unwrap();
        assert_eq!((message.exchange, &message.payload[..]), (id, &b"payload"[..]));
        for garbage in
            [&b""[..], b"NATS/1.0\r\n\r\n", b"NATS/1.0\r\nno header\r\n\r\n", b"NATS/1.0\r\nA: \xff\r\n\r\n"]
        {
            assert!(raw(garbage).message().is_err(), "{garbage:?}");
        }
    }
}
