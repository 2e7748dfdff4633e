//! What an endpoint answers, before directives have their way with it.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// An answer of the mock.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
}

/// An answer's body.
pub(crate) enum Payload {
    /// Made at once, with a known length.
    Whole(Vec<u8>),
    /// Made frame by frame.
    Frames(Frames),
    /// So many pseudo-random bytes.
    Random(u64),
    /// The request's body, as it comes.
    Echo,
}

/// Bytes in frames, all in one buffer.
#[derive(Default)]
pub(crate) struct Frames {
    pub(crate) bytes: Vec<u8>,
    /// Where each frame ends, rising.
    pub(crate) ends: Vec<usize>,
}

impl Frames {
    /// Ends the frame that was being written to `bytes`.
    pub(crate) fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn push(&mut self, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
        self.end();
    }
}

impl Answer {
    pub(crate) fn new(content_type: &'static str, payload: Payload) -> Self {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status: StatusCode::OK, headers, payload }
    }

    /// Serialised JSON.
    pub(crate) fn json(body: Vec<u8>) -> Self {
        Self::new("application/json", Payload::Whole(body))
    }

    pub(crate) fn value(body: &serde_json::Value) -> Self {
        Self::json(body.to_string().into_bytes())
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds a header, if the value can be one.
    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }
}
