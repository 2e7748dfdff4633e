//! One call as an endpoint sees it.

use bytes::{Bytes, BytesMut};
use http::request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use crate::directives::Directives;
use crate::ledger::{Digest, Record};

/// Request bodies up to this size are kept whole and parsed.
const KEPT_WHOLE: usize = 4 << 20;
/// Of larger ones, this much of the beginning and of the end is looked through for `model` and `stream`.
const KEPT_ENDS: usize = 64 << 10;

/// A request's body, as much of it as is needed for an answer.
pub(crate) enum RequestBody {
    Whole(Bytes),
    /// Its first and last bytes, and its length.
    Ends {
        first: Bytes,
        last: Bytes,
        bytes: u64,
    },
}

/// The caller broke off while it was sending.
#[derive(Debug, thiserror::Error)]
#[error("the request broke off: {0}")]
pub(crate) struct RequestBroken(hyper::Error);

impl RequestBody {
    /// Reads a body to its end, into the record; its hash too.
    pub(crate) async fn read(
        mut incoming: Incoming,
        record: &mut Record,
    ) -> Result<(Self, Digest), RequestBroken> {
        let mut gathered = Gathered::default();
        while let Some(frame) = incoming.frame().await {
            if let Ok(piece) = frame.map_err(RequestBroken)?.into_data() {
                record.received(&piece);
                gathered.push(piece);
            }
        }
        Ok((gathered.finish(), record.request_complete()))
    }

    /// The body as JSON. Of a body that is too long to parse, an object of what routing and answering need.
    pub(crate) fn json(&self) -> Result<Value, serde_json::Error> {
        match self {
            Self::Whole(bytes) => serde_json::from_slice(bytes),
            Self::Ends { first, last, bytes } => {
                let mut object = serde_json::Map::new();
                for part in [first, last] {
                    let text = String::from_utf8_lossy(part);
                    if let Some(model) =
                        value_after(&text, "\"model\"").and_then(|rest| rest.strip_prefix('"'))
                        && let Some((model, _)) = model.split_once('"')
                    {
                        object.insert("model".to_owned(), model.into());
                    }
                    if let Some(stream) = value_after(&text, "\"stream\"") {
                        object.insert("stream".to_owned(), stream.starts_with("true").into());
                    }
                }
                // Enough for every dialect to find a question of that length in.
                let question = format!("a request of {bytes} bytes");
                object.insert(
                    "messages".to_owned(),
                    serde_json::json!([{"role": "user", "content": question}]),
                );
                object.insert("max_tokens".to_owned(), 4096.into());
                object.insert("input".to_owned(), question.as_str().into());
                object.insert("prompt".to_owned(), question.as_str().into());
                object.insert(
                    "contents".to_owned(),
                    serde_json::json!([{"role": "user", "parts": [{"text": question}]}]),
                );
                Ok(Value::Object(object))
            }
        }
    }
}

/// What follows the first `name` and its colon.
fn value_after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = &text[text.find(name)? + name.len()..];
    rest.trim_start().strip_prefix(':').map(str::trim_start)
}

#[derive(Default)]
struct Gathered {
    /// The only piece so far; most bodies come in one.
    only: Option<Bytes>,
    many: BytesMut,
    last: BytesMut,
    bytes: u64,
}

impl Gathered {
    fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len() as u64;
        if self.many.is_empty() && self.only.is_none() && piece.len() <= KEPT_WHOLE {
            self.only = Some(piece);
            return;
        }
        if let Some(only) = self.only.take() {
            self.many.extend_from_slice(&only);
        }
        let room = KEPT_WHOLE.saturating_sub(self.many.len()).min(piece.len());
        self.many.extend_from_slice(&piece[..room]);
        self.last.extend_from_slice(&piece[room..]);
        if self.last.len() > 2 * KEPT_ENDS {
            let old = self.last.len() - KEPT_ENDS;
            self.last = BytesMut::from(&self.last[old..]);
        }
    }

    fn finish(mut self) -> RequestBody {
        if let Some(only) = self.only {
            return RequestBody::Whole(only);
        }
        if self.last.is_empty() {
            return RequestBody::Whole(self.many.freeze());
        }
        self.many.truncate(KEPT_ENDS);
        RequestBody::Ends { first: self.many.freeze(), last: self.last.freeze(), bytes: self.bytes }
    }
}

/// One call as an endpoint sees it.
pub(crate) struct Call<'a> {
    pub(crate) head: &'a request::Parts,
    pub(crate) body: &'a RequestBody,
    pub(crate) directives: &'a Directives,
    /// What the answer's wording and ids are drawn from: the same for the same call.
    pub(crate) seed: u64,
    /// The exchange's id in the ledger.
    pub(crate) id: &'a str,
}

impl Call<'_> {
    /// The value of a header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The value of a query parameter as it stands there.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let pairs = self.head.uri.query()?.split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find(|(have, _)| *have == name).map(|(_, value)| value)
    }
}

/// The seed of a call: its body's hash; where there is no body, its target's (FNV-1a). A relay may put another
/// prefix before a path, so where there is a body, the target must not matter.
pub(crate) fn seed_of(body: &Digest, target: &str) -> u64 {
    if *body != Digest::of(b"") {
        return body.0.iter().take(8).fold(0, |seed, byte| (seed << 8) | u64::from(*byte));
    }
    target
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |seed, byte| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_model_and_stream_in_a_body_too_long_to_parse() {
        let mut gathered = Gathered::default();
        let (first, last) = (br#"{"model": "gpt-4o", "messages":[{"content":""#, br#""}], "stream" : true}"#);
        gathered.push(Bytes::from_static(first));
        for _ in 0..10 {
            gathered.push(Bytes::from(vec![b'x'; 1 << 20]));
        }
        gathered.push(Bytes::from_static(last));
        let body = gathered.finish();
        let value = body.json().unwrap();
        assert_eq!(value["model"], "gpt-4o");
        assert_eq!(value["stream"], true);
        let RequestBody::Ends { bytes, .. } = body else { panic!("a long body keeps its ends") };
        assert_eq!(bytes, (10 << 20) + (first.len() + last.len()) as u64);
    }
}
