//! Fixed answers for benchmarks, so that the mock is not what is measured.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, header, request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;

use crate::body::{BrokenOff, MockBody, Source};
use crate::directives::DIRECTIVES_HEADER;
use crate::ledger::Counted;

/// Chunks of a stream, the one with the finish reason and `[DONE]` included.
const CHUNKS: usize = 50;
/// Bytes of a whole answer, about.
const WHOLE_BYTES: usize = 1024;

/// Two answers, made once.
pub(crate) struct Minimal {
    whole: Bytes,
    stream: Bytes,
    ends: Arc<[usize]>,
}

impl Minimal {
    pub(crate) fn new() -> Self {
        let mut stream = Vec::new();
        let mut ends = Vec::new();
        for chunk in 0..CHUNKS {
            let (delta, finish) = match chunk {
                0 => (json!({"role": "assistant", "content": ""}), None),
                chunk if chunk == CHUNKS - 2 => (json!({}), Some("stop")),
                _ => (json!({"content": " benchmark"}), None),
            };
            let event = json!({
                "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_735_689_600,
                "model": "gpt-4o-mini", "system_fingerprint": "fp_bench",
                "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
            });
            let data = if chunk == CHUNKS - 1 { "[DONE]".to_owned() } else { event.to_string() };
            stream.extend_from_slice(format!("data: {data}\n\n").as_bytes());
            ends.push(stream.len());
        }
        let answer = |text: &str| {
            json!({
                "id": "chatcmpl-bench", "object": "chat.completion", "created": 1_735_689_600,
                "model": "gpt-4o-mini", "system_fingerprint": "fp_bench",
                "choices": [{
                    "index": 0, "message": {"role": "assistant", "content": text, "refusal": null},
                    "logprobs": null, "finish_reason": "stop",
                }],
                "usage": {"prompt_tokens": 200, "completion_tokens": 180, "total_tokens": 380},
            })
            .to_string()
        };
        let room = WHOLE_BYTES.saturating_sub(answer("").len());
        let text: String = "benchmark ".chars().cycle().take(room).collect();
        Self { whole: answer(&text).into(), stream: stream.into(), ends: ends.into() }
    }

    /// Whether a request is answered from here.
    pub(crate) fn takes(&self, head: &request::Parts) -> bool {
        head.method == Method::POST
            && head.uri.path().ends_with("/chat/completions")
            && !head.headers.contains_key(DIRECTIVES_HEADER)
    }

    pub(crate) async fn answer(
        &self,
        mut incoming: Incoming,
        mut counted: Counted,
    ) -> Result<Response<MockBody>, BrokenOff> {
        let mut streams = false;
        while let Some(frame) = incoming.frame().await {
            if let Ok(piece) = frame.map_err(|_| BrokenOff)?.into_data() {
                counted.received(piece.len());
                streams = streams || asks_for_stream(&piece);
            }
        }
        let (content_type, source, sized) = if streams {
            let source = Source::Cut { bytes: self.stream.clone(), ends: self.ends.clone(), next: 0 };
            ("text/event-stream; charset=utf-8", source, false)
        } else {
            ("application/json", Source::Whole(self.whole.clone()), true)
        };
        let mut response = Response::new(MockBody::counted(source, sized, counted));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Ok(response)
    }
}

/// Whether a piece of JSON has `"stream":true` in it, with or without a space.
fn asks_for_stream(piece: &[u8]) -> bool {
    const KEY: &[u8] = b"\"stream\":";
    memchr::memmem::find(piece, KEY)
        .is_some_and(|at| piece[at + KEY.len()..].trim_ascii_start().starts_with(b"true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_fifty_chunks_and_a_whole_answer_a_kilobyte() {
        let minimal = Minimal::new();
        assert_eq!(minimal.ends.len(), 50);
        assert_eq!(minimal.ends.last(), Some(&minimal.stream.len()));
        assert!((1020..=1030).contains(&minimal.whole.len()), "{}", minimal.whole.len());
        assert!(asks_for_stream(br#"{"model":"m","stream": true}"#));
        assert!(!asks_for_stream(br#"{"model":"m","stream":false}"#));
    }
}
