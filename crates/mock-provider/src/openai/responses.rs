//! `POST /responses`, whole.

use http::StatusCode;
use serde_json::{Value, json};

use super::responses_request::ResponsesRequest;
use super::responses_stream::stream;
use super::{answer_json, created, id};
use crate::answer::Answer;
use crate::call::Call;
use crate::compose::Reply;
use crate::directives::Finish;
use crate::errors::usual_message;

/// Answers with output items: reasoning, then calls or a message.
pub(crate) fn responses(call: &Call<'_>) -> Answer {
    answer_json(call, |body| {
        let request = ResponsesRequest::read(body)?;
        let reply = Reply::to(&request.prompt, call.seed, call.directives);
        if request.stream {
            return Ok(stream(&request, &reply, call));
        }
        let state = if call.directives.error_in_stream { State::Failed } else { State::of(&reply) };
        Ok(Answer::value(&response(&request, &reply, &items(&reply, call.seed), state, call)))
    })
}

/// What a response says of itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    InProgress,
    Completed,
    Incomplete(&'static str),
    Failed,
}

impl State {
    pub(super) fn of(reply: &Reply) -> Self {
        match reply.finish {
            Finish::Length => Self::Incomplete("max_output_tokens"),
            Finish::ContentFilter => Self::Incomplete("content_filter"),
            Finish::Stop | Finish::ToolCalls => Self::Completed,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed => "failed",
        }
    }
}

/// The output items of a reply, finished.
pub(super) fn items(reply: &Reply, seed: u64) -> Vec<Value> {
    let mut items = Vec::new();
    if !reply.thinking.is_empty() {
        items.push(json!({
            "id": id("rs_", seed), "type": "reasoning", "summary": [{"type": "summary_text", "text": reply.thinking}],
        }));
    }
    if reply.calls.is_empty() {
        items.push(json!({
            "id": id("msg_", seed), "type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": reply.text}],
        }));
    }
    for call in &reply.calls {
        items.push(json!({
            "id": format!("fc_{}", call.id), "type": "function_call", "status": "completed",
            "call_id": format!("call_{}", call.id), "name": call.name, "arguments": call.arguments,
        }));
    }
    items
}

/// A response with these output items.
pub(super) fn response(
    request: &ResponsesRequest<'_>,
    reply: &Reply,
    output: &[Value],
    state: State,
    call: &Call<'_>,
) -> Value {
    let body = request.body;
    let or =
        |key: &str, usual: Value| body.get(key).filter(|value| !value.is_null()).cloned().unwrap_or(usual);
    let usage = reply.usage;
    let ended = matches!(state, State::Completed | State::Incomplete(_)) && !call.directives.no_usage;
    json!({
        "id": id("resp_", call.seed), "object": "response", "created_at": created(call.seed),
        "status": state.as_str(), "background": false, "model": request.model, "output": output,
        "error": match state {
            State::Failed => json!({
                "code": "server_error", "message": usual_message(StatusCode::INTERNAL_SERVER_ERROR),
            }),
            _ => Value::Null,
        },
        "incomplete_details": match state {
            State::Incomplete(reason) => json!({"reason": reason}),
            _ => Value::Null,
        },
        "instructions": or("instructions", Value::Null),
        "max_output_tokens": or("max_output_tokens", Value::Null),
        "max_tool_calls": null,
        "metadata": or("metadata", json!({})),
        "parallel_tool_calls": or("parallel_tool_calls", true.into()),
        "previous_response_id": or("previous_response_id", Value::Null),
        "prompt_cache_key": or("prompt_cache_key", Value::Null),
        "reasoning": or("reasoning", json!({"effort": null, "summary": null})),
        "safety_identifier": null,
        "service_tier": "default",
        "store": or("store", true.into()),
        "temperature": or("temperature", 1.0.into()),
        "text": or("text", json!({"format": {"type": "text"}, "verbosity": "medium"})),
        "tool_choice": or("tool_choice", "auto".into()),
        "tools": or("tools", json!([])),
        "top_logprobs": 0,
        "top_p": or("top_p", 1.0.into()),
        "truncation": or("truncation", "disabled".into()),
        "usage": ended.then(|| json!({
            "input_tokens": usage.input, "input_tokens_details": {"cached_tokens": usage.cached},
            "output_tokens": usage.output, "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.input + usage.output,
        })),
        "user": or("user", Value::Null),
    })
}
