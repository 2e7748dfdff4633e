//! `POST /completions`, the older way.

use serde_json::{Value, json};

use super::chat::{ChatUsage, finish_reason, total};
use super::{EVENT_STREAM, answer_json, created, id, model};
use crate::answer::Answer;
use crate::call::Call;
use crate::compose::{Prompt, Reply, pieces};
use crate::sse::EventStream;

/// Continues prompts: each of them `n` times.
pub(crate) fn completions(call: &Call<'_>) -> Answer {
    answer_json(call, |body| {
        let model = model(body)?;
        let prompts: Vec<String> = match &body["prompt"] {
            Value::String(prompt) => vec![prompt.clone()],
            Value::Array(prompts) => prompts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => return Err("Missing required parameter: 'prompt'.".to_owned()),
        };
        let n = body["n"].as_u64().unwrap_or(1).clamp(1, 128);
        let mut replies = Vec::new();
        for (place, asked) in (0_u64..).zip(&prompts) {
            for copy in 0..n {
                // The default of 16 tokens that this endpoint has is too short to look at.
                let mut prompt = Prompt { limit: body["max_tokens"].as_u64(), ..Prompt::default() };
                prompt.user(asked.clone());
                let mut reply = Reply::to(&prompt, call.seed.wrapping_add(place * n + copy), call.directives);
                if body["echo"].as_bool().unwrap_or(false) {
                    reply.text.insert_str(0, asked);
                }
                replies.push(reply);
            }
        }
        let head = json!({
            "id": id("cmpl-", call.seed), "object": "text_completion", "created": created(call.seed), "model": model,
        });
        let mut used = total(&replies);
        used.input =
            replies.iter().step_by(usize::try_from(n).unwrap_or(1)).map(|reply| reply.usage.input).sum();
        let usage = (!call.directives.no_usage).then(|| json!(ChatUsage::from(used)));
        if body["stream"].as_bool().unwrap_or(false) {
            let wants_usage = body["stream_options"]["include_usage"].as_bool().unwrap_or(false);
            return Ok(stream(&head, &replies, usage.filter(|_| wants_usage), call));
        }
        let choices: Vec<Value> = replies
            .iter()
            .enumerate()
            .map(|(index, reply)| choice(index, &reply.text, Some(reply)))
            .collect();
        let mut whole = head;
        whole["choices"] = choices.into();
        if let Some(usage) = usage {
            whole["usage"] = usage;
        }
        Ok(Answer::value(&whole))
    })
}

fn choice(index: usize, text: &str, finished: Option<&Reply>) -> Value {
    let reason = finished.map(|reply| finish_reason(reply.finish));
    json!({"text": text, "index": index, "logprobs": null, "finish_reason": reason})
}

fn stream(head: &Value, replies: &[Reply], usage: Option<Value>, call: &Call<'_>) -> Answer {
    let mut events = EventStream::new(call.directives);
    let mut push = |choices: Vec<Value>, usage: Option<Value>| {
        let mut chunk = head.clone();
        chunk["choices"] = choices.into();
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        events.data(chunk.to_string().as_bytes());
    };
    for (index, reply) in replies.iter().enumerate() {
        for piece in pieces(&reply.text, call.directives.chunks) {
            push(vec![choice(index, piece, None)], None);
        }
        push(vec![choice(index, "", Some(reply))], None);
    }
    if usage.is_some() {
        push(Vec::new(), usage);
    }
    events.done();
    events.finish(EVENT_STREAM)
}
