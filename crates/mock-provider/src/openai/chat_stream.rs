//! `POST /chat/completions`, streamed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use super::chat::{ChatUsage, FINGERPRINT, finish_reason, logprobs, sound, total};
use super::chat_request::ChatRequest;
use super::{EVENT_STREAM, created, id};
use crate::answer::Answer;
use crate::call::Call;
use crate::compose::{Reply, pieces};
use crate::errors;
use crate::route::Dialect;
use crate::sse::EventStream;

/// What all chunks of a stream have in common, serialised once: this is what a stream mostly consists of.
struct Chunks<'a> {
    events: EventStream,
    /// `{"id":...,"choices":[{"index":`
    before: Vec<u8>,
    /// What is said of usage on every chunk but the last.
    usage: &'static str,
    chunk: Vec<u8>,
    call: &'a Call<'a>,
}

impl<'a> Chunks<'a> {
    fn new(request: &ChatRequest, call: &'a Call<'a>) -> Self {
        let head = json!({
            "id": id("chatcmpl-", call.seed), "object": "chat.completion.chunk", "created": created(call.seed),
            "model": request.model, "service_tier": "default", "system_fingerprint": FINGERPRINT,
        });
        let mut before = head.to_string().into_bytes();
        before.pop();
        before.extend_from_slice(br#","choices":["#);
        let usage = if request.include_usage && !call.directives.no_usage { r#","usage":null"# } else { "" };
        Self {
            events: EventStream::new(call.directives),
            before,
            usage,
            chunk: Vec::with_capacity(512),
            call,
        }
    }

    /// One chunk; `delta` and `logprobs` are JSON.
    fn push(&mut self, index: usize, delta: &[u8], logprobs: Option<&Value>, finish: Option<&str>) {
        let chunk = &mut self.chunk;
        chunk.clear();
        chunk.extend_from_slice(&self.before);
        chunk.extend_from_slice(br#"{"index":"#);
        chunk.extend_from_slice(index.to_string().as_bytes());
        chunk.extend_from_slice(br#","delta":"#);
        chunk.extend_from_slice(delta);
        chunk.extend_from_slice(br#","logprobs":"#);
        match logprobs {
            Some(logprobs) => chunk.extend_from_slice(logprobs.to_string().as_bytes()),
            None => chunk.extend_from_slice(b"null"),
        }
        match finish {
            Some(finish) => chunk.extend_from_slice(format!(r#","finish_reason":"{finish}"}}]"#).as_bytes()),
            None => chunk.extend_from_slice(br#","finish_reason":null}]"#),
        }
        chunk.extend_from_slice(self.usage.as_bytes());
        chunk.push(b'}');
        self.events.data(chunk);
    }

    /// A chunk whose delta is one string.
    fn push_text(&mut self, index: usize, key: &str, text: &str, logprobs: Option<&Value>) {
        let mut delta = Vec::with_capacity(key.len() + text.len() + 16);
        delta.extend_from_slice(b"{\"");
        delta.extend_from_slice(key.as_bytes());
        delta.extend_from_slice(b"\":");
        push_string(&mut delta, text);
        delta.push(b'}');
        self.push(index, &delta, logprobs, None);
    }

    /// The chunk with usage alone (`stream_options.include_usage`).
    fn push_usage(&mut self, usage: &ChatUsage) {
        let Ok(usage) = serde_json::to_vec(usage) else { return };
        let mut chunk = self.before.clone();
        chunk.extend_from_slice(br#"],"usage":"#);
        chunk.extend_from_slice(&usage);
        chunk.push(b'}');
        self.events.data(&chunk);
    }

    fn push_error(&mut self) {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        let error = errors::body(Dialect::OpenAi, status, errors::usual_message(status), self.call);
        self.events.data(error.to_string().as_bytes());
    }
}

/// A JSON string.
fn push_string(to: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail, and a string is always JSON.
    let _ = serde_json::to_writer(to, text);
}

/// Streams the choices, interleaved where there are several.
pub(super) fn stream(request: &ChatRequest, replies: &[Reply], call: &Call<'_>) -> Answer {
    let mut chunks = Chunks::new(request, call);
    let deltas: Vec<Vec<(&str, &str)>> =
        replies.iter().map(|reply| text_deltas(reply, request, call)).collect();
    for index in 0..replies.len() {
        chunks.push(index, br#"{"role":"assistant","content":"","refusal":null}"#, None, None);
    }
    let longest = deltas.iter().map(Vec::len).max().unwrap_or_default();
    let fails_at = call.directives.error_in_stream.then_some(longest / 2);
    for position in 0..longest.max(1) {
        if fails_at == Some(position) {
            chunks.push_error();
            return chunks.events.finish(EVENT_STREAM);
        }
        for (index, deltas) in deltas.iter().enumerate() {
            if let Some((key, text)) = deltas.get(position) {
                let logprobs = (request.logprobs && *key == "content").then(|| logprobs(text));
                chunks.push_text(index, key, text, logprobs.as_ref());
            }
        }
    }
    for (index, reply) in replies.iter().enumerate() {
        if request.audio {
            push_audio(&mut chunks, index, reply, call.seed);
        }
        push_calls(&mut chunks, index, reply);
        chunks.push(index, b"{}", None, Some(finish_reason(reply.finish)));
    }
    if request.include_usage && !call.directives.no_usage {
        chunks.push_usage(&total(replies).into());
    }
    chunks.events.done();
    chunks.events.finish(EVENT_STREAM)
}

/// What a choice says, as (key, text): its reasoning, then its text.
fn text_deltas<'a>(reply: &'a Reply, request: &ChatRequest, call: &Call<'_>) -> Vec<(&'static str, &'a str)> {
    let thinking = pieces(&reply.thinking, None).into_iter().map(|piece| ("reasoning_content", piece));
    let text = if request.audio || reply.text.is_empty() {
        Vec::new()
    } else {
        pieces(&reply.text, call.directives.chunks)
    };
    thinking.chain(text.into_iter().map(|piece| ("content", piece))).collect()
}

/// Each call as one delta with its name and several with its arguments.
fn push_calls(chunks: &mut Chunks<'_>, index: usize, reply: &Reply) {
    for (tool, call) in reply.calls.iter().enumerate() {
        let function = json!({"name": call.name, "arguments": ""});
        let first = json!({"tool_calls": [
            {"index": tool, "id": format!("call_{}", call.id), "type": "function", "function": function},
        ]});
        chunks.push(index, first.to_string().as_bytes(), None, None);
        for piece in argument_pieces(&call.arguments) {
            let delta = json!({"tool_calls": [{"index": tool, "function": {"arguments": piece}}]});
            chunks.push(index, delta.to_string().as_bytes(), None, None);
        }
    }
}

/// Arguments come in pieces of a few characters.
pub(super) fn argument_pieces(arguments: &str) -> Vec<&str> {
    const PIECE: usize = 6;
    let chunks = arguments.len().div_ceil(PIECE);
    pieces(arguments, Some(chunks)).into_iter().filter(|piece| !piece.is_empty()).collect()
}

/// Audio comes with its id, then the transcript, then base64 data, then the time when it expires.
fn push_audio(chunks: &mut Chunks<'_>, index: usize, reply: &Reply, seed: u64) {
    let audio_id = id("audio_", seed);
    let mut push =
        |audio: Value| chunks.push(index, json!({"audio": audio}).to_string().as_bytes(), None, None);
    push(json!({"id": audio_id, "transcript": ""}));
    for piece in pieces(&reply.text, None) {
        push(json!({"transcript": piece}));
    }
    for samples in sound(&reply.text).chunks(1200) {
        push(json!({"data": BASE64_STANDARD.encode(samples)}));
    }
    push(json!({"expires_at": created(seed) + 3600}));
}
