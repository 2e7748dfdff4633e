//! `POST /messages`, streamed.

use http::StatusCode;
use serde_json::{Value, json};

use super::messages::{blocks, head, stop_reason, usage};
use super::request::MessagesRequest;
use crate::answer::Answer;
use crate::call::Call;
use crate::compose::{Reply, pieces};
use crate::errors;
use crate::route::Dialect;
use crate::sse::EventStream;

/// A ping comes after the first block's start, and after every so many events.
const PING_EVERY: usize = 40;

struct Typed {
    events: EventStream,
    pushed: usize,
}

impl Typed {
    fn push(&mut self, event: &Value) {
        self.events.event(event["type"].as_str(), event.to_string().as_bytes());
        self.pushed += 1;
        if self.pushed % PING_EVERY == 2 {
            self.events.event(Some("ping"), br#"{"type": "ping"}"#);
        }
    }
}

/// Streams a reply as Anthropic does.
pub(super) fn stream(request: &MessagesRequest, reply: &Reply, call: &Call<'_>) -> Answer {
    let mut typed = Typed { events: EventStream::new(call.directives), pushed: 0 };
    let mut message = head(request, call.seed);
    let usage = usage(request, reply);
    if !call.directives.no_usage {
        message["usage"] = usage.clone();
        message["usage"]["output_tokens"] = 1.into();
    }
    typed.push(&json!({"type": "message_start", "message": message}));
    for (index, block) in blocks(reply, call.seed).iter().enumerate() {
        push_block(&mut typed, index, block, call);
        if call.directives.error_in_stream {
            let status = StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            let error = errors::body(Dialect::Anthropic, status, errors::usual_message(status), call);
            typed.push(&error);
            return typed.events.finish("text/event-stream; charset=utf-8");
        }
    }
    let mut delta = json!({
        "type": "message_delta", "delta": {"stop_reason": stop_reason(reply.finish), "stop_sequence": null},
    });
    if !call.directives.no_usage {
        delta["usage"] = json!({
            "input_tokens": usage["input_tokens"], "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": usage["cache_read_input_tokens"], "output_tokens": usage["output_tokens"],
        });
    }
    typed.push(&delta);
    typed.push(&json!({"type": "message_stop"}));
    typed.events.finish("text/event-stream; charset=utf-8")
}

fn push_block(typed: &mut Typed, index: usize, block: &Value, call: &Call<'_>) {
    let mut begun = block.clone();
    for (key, empty) in
        [("text", "".into()), ("thinking", "".into()), ("signature", "".into()), ("input", json!({}))]
    {
        if block.get(key).is_some() {
            begun[key] = empty;
        }
    }
    typed.push(&json!({"type": "content_block_start", "index": index, "content_block": begun}));
    let mut push = |delta: Value| {
        typed.push(&json!({"type": "content_block_delta", "index": index, "delta": delta}));
    };
    match block["type"].as_str() {
        Some("thinking") => {
            for piece in pieces(block["thinking"].as_str().unwrap_or_default(), None) {
                push(json!({"type": "thinking_delta", "thinking": piece}));
            }
            push(json!({"type": "signature_delta", "signature": block["signature"]}));
        }
        Some("text") => {
            for piece in pieces(block["text"].as_str().unwrap_or_default(), call.directives.chunks) {
                push(json!({"type": "text_delta", "text": piece}));
            }
        }
        _ => {
            let input = block["input"].to_string();
            push(json!({"type": "input_json_delta", "partial_json": ""}));
            for piece in
                pieces(&input, Some(input.len().div_ceil(8))).into_iter().filter(|piece| !piece.is_empty())
            {
                push(json!({"type": "input_json_delta", "partial_json": piece}));
            }
        }
    }
    typed.push(&json!({"type": "content_block_stop", "index": index}));
}
