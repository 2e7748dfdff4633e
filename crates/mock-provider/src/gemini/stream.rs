//! `streamGenerateContent`: event stream with `alt=sse`, otherwise one JSON array that grows.

use http::StatusCode;
use serde_json::{Value, json};

use super::generate::{call_parts, candidate, finish_reason, head, replies, usage};
use super::request::GenerateRequest;
use crate::answer::{Answer, Frames, Payload};
use crate::call::Call;
use crate::compose::{Reply, pieces};
use crate::errors;
use crate::route::Dialect;
use crate::sse::EventStream;

/// Streams the candidates, one after the other. Usage so far is on every chunk; the last has it right.
pub(super) fn stream(model: &str, body: &Value, call: &Call<'_>) -> Result<Answer, String> {
    let request = GenerateRequest::read(body)?;
    let replies = replies(&request, call);
    let mut chunks: Vec<Value> = Vec::new();
    for (index, reply) in replies.iter().enumerate() {
        for (parts, finish) in pieces_of(reply, &request, call) {
            let mut chunk = head(model, call.seed);
            chunk["candidates"] = json!([candidate(index, &parts, finish)]);
            if !call.directives.no_usage {
                chunk["usageMetadata"] = json!({
                    "promptTokenCount": reply.usage.input, "totalTokenCount": reply.usage.input,
                    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": reply.usage.input}],
                });
            }
            chunks.push(chunk);
        }
    }
    if let Some(last) = chunks.last_mut().filter(|_| !call.directives.no_usage) {
        last["usageMetadata"] = usage(&replies);
    }
    if call.directives.error_in_stream {
        chunks.truncate(chunks.len().div_ceil(2));
        let status = StatusCode::SERVICE_UNAVAILABLE;
        chunks.push(errors::body(Dialect::Gemini, status, errors::usual_message(status), call));
    }
    Ok(if call.query("alt") == Some("sse") { event_stream(&chunks, call) } else { array(&chunks) })
}

fn event_stream(chunks: &[Value], call: &Call<'_>) -> Answer {
    let mut events = EventStream::crlf(call.directives);
    chunks.iter().for_each(|chunk| events.data(chunk.to_string().as_bytes()));
    events.finish("text/event-stream").with_header("content-disposition", "attachment")
}

fn array(chunks: &[Value]) -> Answer {
    let mut frames = Frames::default();
    for (index, chunk) in chunks.iter().enumerate() {
        let (before, after) =
            (if index == 0 { "[" } else { ",\r\n" }, if index + 1 == chunks.len() { "\n]\n" } else { "" });
        frames.push(format!("{before}{chunk}{after}").as_bytes());
    }
    Answer::new("application/json; charset=UTF-8", Payload::Frames(frames))
}

type Chunk = (Vec<Value>, Option<&'static str>);

/// A reply's chunks: their parts, and the finish reason on the last.
fn pieces_of(reply: &Reply, request: &GenerateRequest, call: &Call<'_>) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    if request.include_thoughts && !reply.thinking.is_empty() {
        chunks.push((vec![json!({"text": reply.thinking, "thought": true})], None));
    }
    if !reply.text.is_empty() {
        // Gemini's chunks are longer than others': some ten tokens each.
        let usual = reply.text.len().div_ceil(48);
        for piece in pieces(&reply.text, Some(call.directives.chunks.unwrap_or(usual))) {
            chunks.push((vec![json!({"text": piece})], None));
        }
    }
    if !reply.calls.is_empty() {
        chunks.push((call_parts(reply, call.seed), None));
    }
    if let Some(last) = chunks.last_mut() {
        last.1 = Some(finish_reason(reply.finish));
    }
    chunks
}
