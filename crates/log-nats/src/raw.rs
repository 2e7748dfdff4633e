//! Messages as the stream's leader holds them, read one at a time over JetStream's API.
//!
//! Slower than direct gets; but what the leader does not have is not there, and what a message's headers say can't
//! disturb the connection.

use std::time::Duration;

use async_nats::{HeaderName, StatusCode};
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
    /// When it was stored.
    pub(crate) time: String,
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

    /// Whether the client library can read its headers; where it can't, it takes the connection for broken.
    pub(crate) fn is_readable(&self) -> bool {
        let Ok(text) = std::str::from_utf8(&self.headers) else { return false };
        let mut lines = text.lines();
        let is_header = |line: &str| {
            let name = line.split_once(':').map(|(name, _)| name);
            let is_continued = line.starts_with(char::is_whitespace);
            line.is_empty() || is_continued || name.is_some_and(|name| name.parse::<HeaderName>().is_ok())
        };
        match lines.next().map(|line| line.strip_prefix("NATS/1.0").map(str::trim)) {
            None => true,
            Some(Some(status)) => {
                let code = status.split(' ').next().unwrap_or_default();
                (code.is_empty() || code.parse::<StatusCode>().is_ok()) && lines.all(is_header)
            }
            Some(None) => false,
        }
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
impl Raw {
    /// A message without subject, headers and payload.
    pub(crate) fn nothing(sequence: Sequence, time: &str) -> Self {
        let (headers, payload) = (Bytes::new(), Bytes::new());
        Self { sequence, subject: String::new(), time: time.to_owned(), headers, payload }
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
        for (headers, is_readable) in [
            (&b""[..], true),
            (b"NATS/1.0\r\n\r\n", true),
            (b"NATS/1.0 503 gone\r\nA: 1\r\n more\r\n\r\n", true),
            (b"HTTP/1.1\r\n\r\n", false),
            (b"NATS/1.0 x\r\n\r\n", false),
            (b"NATS/1.0\r\nno header\r\n\r\n", false),
            (b"NATS/1.0\r\nbad name: 1\r\n\r\n", false),
            (b"NATS/1.0\r\nA: \xff\r\n\r\n", false),
        ] {
            assert_eq!(raw(headers).is_readable(), is_readable, "{headers:?}");
        }
    }
}
