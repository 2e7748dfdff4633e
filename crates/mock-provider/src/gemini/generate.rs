//! `generateContent` and `countTokens`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::request::{GenerateRequest, either};
use crate::answer::Answer;
use crate::call::Call;
use crate::compose::{Reply, Usage};
use crate::directives::Finish;
use crate::random::Draw;

/// Answers whole.
pub(super) fn generate(model: &str, body: &Value, call: &Call<'_>) -> Result<Answer, String> {
    let request = GenerateRequest::read(body)?;
    let replies = replies(&request, call);
    let candidates: Vec<Value> = replies
        .iter()
        .enumerate()
        .map(|(index, reply)| {
            candidate(
                index,
                &parts(reply, request.include_thoughts, call.seed),
                Some(finish_reason(reply.finish)),
            )
        })
        .collect();
    let mut answer = head(model, call.seed);
    answer["candidates"] = candidates.into();
    if !call.directives.no_usage {
        answer["usageMetadata"] = usage(&replies);
    }
    Ok(Answer::new(
        "application/json; charset=UTF-8",
        crate::answer::Payload::Whole(answer.to_string().into_bytes()),
    ))
}

/// Counts the tokens of contents, by the same estimate as usage.
pub(super) fn count_tokens(body: &Value) -> Result<Answer, String> {
    let wrapped = either(body, "generateContentRequest", "generate_content_request");
    let request = GenerateRequest::read(if wrapped.is_object() { wrapped } else { body })?;
    let tokens = request.prompt.input_tokens;
    Ok(Answer::value(&json!({
        "totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}],
    })))
}

pub(super) fn replies(request: &GenerateRequest, call: &Call<'_>) -> Vec<Reply> {
    (0..request.candidates)
        .map(|candidate| Reply::to(&request.prompt, call.seed.wrapping_add(candidate), call.directives))
        .collect()
}

/// What every chunk says beside its candidates.
pub(super) fn head(model: &str, seed: u64) -> Value {
    json!({"modelVersion": model, "responseId": Draw::new(!seed).letters(23)})
}

pub(super) fn candidate(index: usize, parts: &[Value], finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": index});
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
    }
    candidate
}

/// Gemini says STOP where functions are called, too.
pub(super) fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::ToolCalls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter => "SAFETY",
    }
}

/// A reply's parts: thoughts where they are asked for, then text or calls.
fn parts(reply: &Reply, thoughts: bool, seed: u64) -> Vec<Value> {
    let mut parts = Vec::new();
    if thoughts && !reply.thinking.is_empty() {
        parts.push(json!({"text": reply.thinking, "thought": true}));
    }
    if !reply.text.is_empty() {
        parts.push(json!({"text": reply.text}));
    }
    parts.extend(call_parts(reply, seed));
    parts
}

/// The calls of a reply; the first carries the signature where there were thoughts.
pub(super) fn call_parts(reply: &Reply, seed: u64) -> Vec<Value> {
    let mut parts = Vec::new();
    for (index, call) in reply.calls.iter().enumerate() {
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        let mut part = json!({"functionCall": {"name": call.name, "args": arguments}});
        if index == 0 && !reply.thinking.is_empty() {
            part["thoughtSignature"] = BASE64_STANDARD.encode(Draw::new(seed ^ 1).letters(90)).into();
        }
        parts.push(part);
    }
    parts
}

/// All output is candidates' and thoughts' tokens together.
pub(super) fn usage(replies: &[Reply]) -> Value {
    let first = replies.first().map(|reply| reply.usage).unwrap_or_default();
    let sum = |count: fn(&Usage) -> u64| replies.iter().map(|reply| count(&reply.usage)).sum::<u64>();
    let (output, thoughts) = (sum(|usage| usage.output), sum(|usage| usage.reasoning));
    let mut usage = json!({
        "promptTokenCount": first.input, "candidatesTokenCount": output - thoughts,
        "totalTokenCount": first.input + output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": first.input}],
    });
    if thoughts > 0 {
        usage["thoughtsTokenCount"] = thoughts.into();
    }
    if first.cached > 0 {
        usage["cachedContentTokenCount"] = first.cached.into();
    }
    usage
}
