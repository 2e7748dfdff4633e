//! `POST /messages`, whole, and `POST /messages/count_tokens`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use super::request::MessagesRequest;
use super::stream::stream;
use crate::answer::Answer;
use crate::call::Call;
use crate::compose::Reply;
use crate::directives::Finish;
use crate::errors::error;
use crate::random::Draw;
use crate::route::Dialect;

/// Answers with content blocks: thinking, then text or tool use.
pub(crate) fn messages(call: &Call<'_>) -> Answer {
    answer_json(call, |body| {
        if !body["max_tokens"].is_u64() {
            return Err("max_tokens: Field required".to_owned());
        }
        let request = MessagesRequest::read(body)?;
        let reply = Reply::to(&request.prompt, call.seed, call.directives);
        if request.stream {
            return Ok(stream(&request, &reply, call));
        }
        let mut message = head(&request, call.seed);
        message["content"] = blocks(&reply, call.seed).into();
        message["stop_reason"] = stop_reason(reply.finish).into();
        if call.directives.no_usage {
            message.as_object_mut().map(|message| message.remove("usage"));
        } else {
            message["usage"] = usage(&request, &reply);
        }
        Ok(Answer::value(&message))
    })
}

/// Counts the tokens of a prompt, by the same estimate as usage.
pub(crate) fn count_tokens(call: &Call<'_>) -> Answer {
    answer_json(call, |body| {
        let request = MessagesRequest::read(body)?;
        Ok(Answer::value(&json!({"input_tokens": request.prompt.input_tokens})))
    })
}

fn answer_json(call: &Call<'_>, answer: impl FnOnce(&Value) -> Result<Answer, String>) -> Answer {
    let answered = match call.body.json() {
        Ok(body) if body.is_object() => answer(&body),
        _ => Err("The request body is not valid JSON".to_owned()),
    };
    let answer =
        answered.unwrap_or_else(|message| error(Dialect::Anthropic, StatusCode::BAD_REQUEST, &message, call));
    answer
        .with_header("request-id", &format!("req_{}", call.id))
        .with_header("anthropic-organization-id", "00000000-0000-4000-8000-000000000000")
        .with_header("anthropic-ratelimit-requests-limit", "4000")
        .with_header("anthropic-ratelimit-requests-remaining", "3999")
}

/// A message without content.
pub(super) fn head(request: &MessagesRequest, seed: u64) -> Value {
    json!({
        "id": format!("msg_01{}", Draw::new(!seed).letters(22)), "type": "message", "role": "assistant",
        "model": request.model, "content": [], "stop_reason": null, "stop_sequence": null,
    })
}

pub(super) fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::ContentFilter => "refusal",
    }
}

/// All input is the sum of the three input counts (Anthropic, prompt caching).
pub(super) fn usage(request: &MessagesRequest, reply: &Reply) -> Value {
    let cached = if request.caches { reply.usage.cached } else { 0 };
    json!({
        "input_tokens": reply.usage.input - cached, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": reply.usage.output, "service_tier": "standard",
    })
}

/// The content blocks of a reply.
pub(super) fn blocks(reply: &Reply, seed: u64) -> Vec<Value> {
    let mut blocks = Vec::new();
    if !reply.thinking.is_empty() {
        let signature = BASE64_STANDARD.encode(Draw::new(seed ^ 1).letters(120));
        blocks.push(json!({"type": "thinking", "thinking": reply.thinking, "signature": signature}));
    }
    if !reply.text.is_empty() {
        blocks.push(json!({"type": "text", "text": reply.text}));
    }
    for call in &reply.calls {
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        blocks.push(json!({
            "type": "tool_use", "id": format!("toolu_01{}", call.id), "name": call.name, "input": input,
        }));
    }
    blocks
}
