//! The store of messages that can't be processed.

use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::{HeaderMap, HeaderName};
use bytes::Bytes;
use tokio::time::Instant;
use verbatim_core::ports::{DeadLetter, PortResult, Sequence};

use crate::append::stored;
use crate::raw::Raw;
use crate::requests::Requests;
use crate::wire;

const SEQUENCE: HeaderName = HeaderName::from_static("Verbatim-Sequence");
const REASON: HeaderName = HeaderName::from_static("Verbatim-Reason");
const GATEWAY: HeaderName = HeaderName::from_static("Verbatim-Gateway");
const SUBJECT: HeaderName = HeaderName::from_static("Verbatim-Subject");
/// How long a payload was of which only the beginning is kept.
const LENGTH: HeaderName = HeaderName::from_static("Verbatim-Payload-Length");
/// So many letters are on the way at once.
const AT_ONCE: usize = 16;
const LONGEST_REASON: usize = 1024;
/// The headers and what belongs to them take no more.
const HEADERS: usize = 8 * 1024;

/// A message that is to be kept.
pub(crate) struct Letter {
    /// What it is, or `unknown`.
    kind: &'static str,
    headers: HeaderMap,
    payload: Bytes,
}

impl Letter {
    /// A message of ours.
    pub(crate) fn of_ours(letter: DeadLetter) -> Self {
        let DeadLetter { sequence, message, reason } = letter;
        let exchange = message.exchange.to_string();
        let mut this = Self::new(sequence, &exchange, message.kind.as_str(), &reason, message.payload);
        this.headers.insert(wire::EXCHANGE, exchange);
        if let Some(token) = wire::gateway_token(&message.gateway) {
            this.headers.insert(GATEWAY, token);
        }
        this
    }

    /// Whatever else stood on one of our subjects.
    pub(crate) fn of_garbage(found: Raw, reason: &str) -> Self {
        let kind = wire::kind_of(&found.subject).map_or("unknown", |kind| kind.as_str());
        // A stream that was made anew uses sequences again.
        let mut this = Self::new(found.sequence, &found.time, kind, reason, found.payload);
        this.headers.insert(SUBJECT, one_line(&found.subject));
        this
    }

    fn new(sequence: Sequence, what: &str, kind: &'static str, reason: &str, payload: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        // The same letter again is the same one.
        headers.insert(NATS_MESSAGE_ID, format!("{sequence}.{what}"));
        headers.insert(SEQUENCE, sequence.to_string());
        headers.insert(REASON, one_line(reason));
        Self { kind, headers, payload }
    }

    /// Cuts the payload to what the server takes.
    fn fit(&mut self, largest: usize) {
        let room = largest.saturating_sub(HEADERS);
        if self.payload.len() > room {
            self.headers.insert(LENGTH, self.payload.len().to_string());
            self.payload.truncate(room);
        }
    }
}

/// Text as a header can have it.
fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = clean.floor_char_boundary(LONGEST_REASON);
    clean[..end].to_owned()
}

/// Stores letters; all of them are durable when it returns.
pub(crate) async fn store(requests: &Requests, letters: Vec<Letter>, within: Duration) -> PortResult<()> {
    let mut letters = letters.into_iter().peekable();
    while letters.peek().is_some() {
        let deadline = Instant::now() + within;
        let mut answers = Vec::with_capacity(AT_ONCE);
        for mut letter in letters.by_ref().take(AT_ONCE) {
            letter.fit(requests.client().max_payload());
            let subject = format!("dlq.{}", letter.kind);
            let sent = requests.send(subject, Some(letter.headers), letter.payload, None, deadline);
            answers.push(sent.await?);
        }
        for answer in answers {
            stored(answer, deadline).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_reasons_and_subjects_become_headers_and_large_payloads_fit() {
        let reason = format!("bad\r\nInjected: 1\0{}", "é".repeat(2000));
        let payload = Bytes::from(vec![0; 100_000]);
        let mut found = Raw::nothing(7, "2026-11-27T10:00:00Z");
        (found.subject, found.payload) = ("cap.end.x\u{7f}".to_owned(), payload);
        let mut letter = Letter::of_garbage(found, &reason);
        letter.fit(65_536);
        assert_eq!(letter.kind, "end");
        assert!(letter.payload.len() + HEADERS <= 65_536);
        let header = |name| letter.headers.get(name).unwrap().as_str().to_owned();
        assert!(header(REASON).starts_with("bad  Injected: 1 é") && header(REASON).len() <= LONGEST_REASON);
        assert_eq!((header(LENGTH), header(SEQUENCE)), ("100000".to_owned(), "7".to_owned()));
        assert_eq!(header(NATS_MESSAGE_ID), "7.2026-11-27T10:00:00Z");
    }
}
