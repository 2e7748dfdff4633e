//! `POST /chat/completions`, whole.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::chat_request::ChatRequest;
use super::chat_stream::stream;
use super::{answer_json, created, id};
use crate::answer::Answer;
use crate::call::Call;
use crate::compose::{Reply, Usage};
use crate::directives::Finish;
use crate::errors::error;
use crate::route::Dialect;

/// Answers a chat.
pub(crate) fn chat(call: &Call<'_>) -> Answer {
    answer_json(call, |body| {
        let request = ChatRequest::read(body)?;
        let replies: Vec<Reply> = (0..request.choices)
            .map(|choice| Reply::to(&request.prompt, call.seed.wrapping_add(choice), call.directives))
            .collect();
        Ok(if request.stream { stream(&request, &replies, call) } else { whole(&request, &replies, call) })
    })
}

/// Sums the usage of several choices: their prompt is counted once.
pub(super) fn total(replies: &[Reply]) -> Usage {
    let mut sum = replies.first().map(|reply| reply.usage).unwrap_or_default();
    for reply in replies.iter().skip(1) {
        sum.output += reply.usage.output;
        sum.reasoning += reply.usage.reasoning;
    }
    sum
}

#[derive(Serialize)]
struct Completion<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<ChatUsage>,
    service_tier: &'static str,
    system_fingerprint: &'static str,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: usize,
    message: Message<'a>,
    logprobs: Option<Value>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    reasoning_content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Vec<Value>>,
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<Value>,
    annotations: [(); 0],
}

/// Usage as chat completions tell it.
#[derive(Serialize)]
pub(super) struct ChatUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    audio_tokens: u64,
}

#[derive(Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

impl From<Usage> for ChatUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.input + usage.output,
            prompt_tokens_details: PromptDetails { cached_tokens: usage.cached, audio_tokens: 0 },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: usage.reasoning,
                audio_tokens: 0,
                accepted_prediction_tokens: 0,
                rejected_prediction_tokens: 0,
            },
        }
    }
}

pub(super) const FINGERPRINT: &str = "fp_560af6e559";

pub(super) fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
    }
}

fn whole(request: &ChatRequest, replies: &[Reply], call: &Call<'_>) -> Answer {
    let choices = replies
        .iter()
        .enumerate()
        .map(|(index, reply)| Choice {
            index,
            message: message(reply, request.audio, call.seed),
            logprobs: request.logprobs.then(|| logprobs(&reply.text)),
            finish_reason: finish_reason(reply.finish),
        })
        .collect();
    let completion = Completion {
        id: id("chatcmpl-", call.seed),
        object: "chat.completion",
        created: created(call.seed),
        model: &request.model,
        choices,
        usage: (!call.directives.no_usage).then(|| total(replies).into()),
        service_tier: "default",
        system_fingerprint: FINGERPRINT,
    };
    match serde_json::to_vec(&completion) {
        Ok(body) => Answer::json(body),
        Err(problem) => error(Dialect::OpenAi, StatusCode::INTERNAL_SERVER_ERROR, &problem.to_string(), call),
    }
}

fn message(reply: &Reply, audio: bool, seed: u64) -> Message<'_> {
    let tool_calls: Vec<Value> = reply
        .calls
        .iter()
        .map(|call| {
            let function = json!({"name": call.name, "arguments": call.arguments});
            json!({"id": format!("call_{}", call.id), "type": "function", "function": function})
        })
        .collect();
    Message {
        role: "assistant",
        content: (!reply.text.is_empty() && !audio).then_some(reply.text.as_str()),
        reasoning_content: &reply.thinking,
        tool_calls: (!tool_calls.is_empty()).then_some(tool_calls),
        refusal: None,
        audio: audio.then(|| {
            json!({
                "id": id("audio_", seed), "expires_at": created(seed) + 3600,
                "data": BASE64_STANDARD.encode(sound(&reply.text)), "transcript": reply.text,
            })
        }),
        annotations: [],
    }
}

/// Bytes that stand for speech: 16 samples of a saw tooth for each byte of the text.
pub(super) fn sound(text: &str) -> Vec<u8> {
    text.bytes().flat_map(|byte| (0..16_u8).map(move |step| step.wrapping_mul(byte))).collect()
}

/// Log probabilities for each piece of a text.
pub(super) fn logprobs(text: &str) -> Value {
    let content: Vec<Value> = crate::compose::pieces(text, None)
        .into_iter()
        .map(|piece| json!({"token": piece, "logprob": -0.25, "bytes": piece.as_bytes(), "top_logprobs": []}))
        .collect();
    json!({"content": content, "refusal": null})
}
