//! `POST /responses`, streamed.

use http::StatusCode;
use serde_json::{Value, json};

use super::EVENT_STREAM;
use super::chat_stream::argument_pieces;
use super::responses::{State, items, response};
use super::responses_request::ResponsesRequest;
use crate::answer::Answer;
use crate::call::Call;
use crate::compose::{Reply, pieces};
use crate::errors::usual_message;
use crate::sse::EventStream;

/// Typed events, each with its sequence number.
struct Typed {
    events: EventStream,
    sequence: u64,
}

impl Typed {
    fn push(&mut self, kind: &str, mut event: Value) {
        event["type"] = kind.into();
        event["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        self.events.event(Some(kind), event.to_string().as_bytes());
    }
}

/// Streams a reply as OpenAI does: every item is added, filled and done; the last event has the response whole.
pub(super) fn stream(request: &ResponsesRequest<'_>, reply: &Reply, call: &Call<'_>) -> Answer {
    let mut typed = Typed { events: EventStream::new(call.directives), sequence: 0 };
    let begun = response(request, reply, &[], State::InProgress, call);
    typed.push("response.created", json!({"response": begun}));
    typed.push("response.in_progress", json!({"response": begun}));
    let items = items(reply, call.seed);
    for (index, item) in items.iter().enumerate() {
        push_item(&mut typed, index, item, call);
        if call.directives.error_in_stream {
            let message = usual_message(StatusCode::INTERNAL_SERVER_ERROR);
            typed.push("error", json!({"code": "server_error", "message": message, "param": null}));
            let failed = response(request, reply, &[], State::Failed, call);
            typed.push("response.failed", json!({"response": failed}));
            return typed.events.finish(EVENT_STREAM);
        }
    }
    let state = State::of(reply);
    let ended = response(request, reply, &items, state, call);
    typed.push(&format!("response.{}", state.as_str()), json!({"response": ended}));
    typed.events.finish(EVENT_STREAM)
}

fn push_item(typed: &mut Typed, index: usize, item: &Value, call: &Call<'_>) {
    let mut begun = item.clone();
    for (key, empty) in [("content", json!([])), ("summary", json!([])), ("arguments", "".into())] {
        if item.get(key).is_some() {
            begun[key] = empty;
        }
    }
    if item.get("status").is_some() {
        begun["status"] = "in_progress".into();
    }
    typed.push("response.output_item.added", json!({"output_index": index, "item": begun}));
    let id = &item["id"];
    match item["type"].as_str() {
        Some("reasoning") => {
            let text = item["summary"][0]["text"].as_str().unwrap_or_default();
            let part = |text: &str| {
                json!({
                    "item_id": id, "output_index": index, "summary_index": 0,
                    "part": {"type": "summary_text", "text": text},
                })
            };
            let delta = |key: &str, text: &str| {
                let mut event = json!({"item_id": id, "output_index": index, "summary_index": 0});
                event[key] = text.into();
                event
            };
            typed.push("response.reasoning_summary_part.added", part(""));
            for piece in pieces(text, None) {
                typed.push("response.reasoning_summary_text.delta", delta("delta", piece));
            }
            typed.push("response.reasoning_summary_text.done", delta("text", text));
            typed.push("response.reasoning_summary_part.done", part(text));
        }
        Some("message") => {
            let text = item["content"][0]["text"].as_str().unwrap_or_default();
            let part = |text: &str| {
                json!({
                    "item_id": id, "output_index": index, "content_index": 0,
                    "part": {"type": "output_text", "annotations": [], "logprobs": [], "text": text},
                })
            };
            let delta = |key: &str, text: &str| {
                let mut event =
                    json!({"item_id": id, "output_index": index, "content_index": 0, "logprobs": []});
                event[key] = text.into();
                event
            };
            typed.push("response.content_part.added", part(""));
            for piece in pieces(text, call.directives.chunks) {
                typed.push("response.output_text.delta", delta("delta", piece));
            }
            typed.push("response.output_text.done", delta("text", text));
            typed.push("response.content_part.done", part(text));
        }
        _ => {
            let arguments = item["arguments"].as_str().unwrap_or_default();
            for piece in argument_pieces(arguments) {
                let delta = json!({"item_id": id, "output_index": index, "delta": piece});
                typed.push("response.function_call_arguments.delta", delta);
            }
            let done = json!({
                "item_id": id, "output_index": index, "name": item["name"], "arguments": arguments,
            });
            typed.push("response.function_call_arguments.done", done);
        }
    }
    typed.push("response.output_item.done", json!({"output_index": index, "item": item}));
}
