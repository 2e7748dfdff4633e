//! Ollama's endpoints (github.com/ollama/ollama, docs/api.md). Streams are the default, as lines of JSON.

use http::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, Frames, Payload};
use crate::call::Call;
use crate::compose::{Prompt, Reply, pieces, tokens};
use crate::directives::Finish;
use crate::errors::{error, usual_message};
use crate::openai;
use crate::route::Dialect;
use crate::vector::{as_json, embed as vector_of};

const DIMENSIONS: usize = 768;

/// `POST /api/chat`.
pub(crate) fn chat(call: &Call<'_>) -> Answer {
    answer_json(call, |body| {
        let messages = body["messages"].as_array().ok_or("messages is required")?;
        let mut prompt = prompt(body);
        for tool in body["tools"].as_array().into_iter().flatten() {
            if let Some(name) = tool["function"]["name"].as_str() {
                prompt.offer(name, tool["function"].get("parameters"));
            }
        }
        for message in messages {
            let text = message["content"].as_str().unwrap_or_default();
            match message["role"].as_str() {
                Some("user") => prompt.user(text.to_owned()),
                Some("tool") => prompt.tool(text.to_owned()),
                Some("assistant") => prompt.assistant(text),
                _ => prompt.said(text),
            }
        }
        let shape = |text: &str, thinking: &str, calls: Value| {
            let mut message = json!({"role": "assistant", "content": text});
            if !thinking.is_empty() {
                message["thinking"] = thinking.into();
            }
            if !calls.is_null() {
                message["tool_calls"] = calls;
            }
            json!({"message": message})
        };
        Ok(respond(body, &prompt, shape, call))
    })
}

/// `POST /api/generate`.
pub(crate) fn generate(call: &Call<'_>) -> Answer {
    answer_json(call, |body| {
        let mut prompt = prompt(body);
        if let Some(system) = body["system"].as_str() {
            prompt.said(system);
        }
        prompt.user(body["prompt"].as_str().unwrap_or_default().to_owned());
        let shape = |text: &str, thinking: &str, _: Value| {
            let mut answer = json!({"response": text});
            if !thinking.is_empty() {
                answer["thinking"] = thinking.into();
            }
            answer
        };
        Ok(respond(body, &prompt, shape, call))
    })
}

/// `POST /api/embed`, and `POST /api/embeddings` before it.
pub(crate) fn embed(call: &Call<'_>) -> Answer {
    answer_json(call, |body| {
        if let Some(prompt) = body["prompt"].as_str() {
            return Ok(Answer::value(&json!({"embedding": as_json(&vector_of(prompt, DIMENSIONS))})));
        }
        let texts: Vec<&str> = match &body["input"] {
            Value::String(text) => vec![text],
            Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect(),
            _ => return Err("input is required".to_owned()),
        };
        let embeddings: Vec<Value> = texts.iter().map(|text| as_json(&vector_of(text, DIMENSIONS))).collect();
        let used: u64 = texts.iter().map(|text| tokens(text)).sum();
        Ok(Answer::value(&json!({
            "model": body["model"], "embeddings": embeddings, "total_duration": 14_143_917,
            "load_duration": 1_019_500, "prompt_eval_count": used,
        })))
    })
}

/// `GET /api/tags`.
pub(crate) fn tags() -> Answer {
    let model = |name: &str, family: &str, size: u64| {
        json!({
            "name": name, "model": name, "modified_at": "2025-06-01T12:00:00Z", "size": size,
            "digest": "0a8c266910232fd3291e71e5ba1e058cc5af9d411192cf88b6d30e92b6e73163",
            "details": {
                "parent_model": "", "format": "gguf", "family": family, "families": [family],
                "parameter_size": "8.0B", "quantization_level": "Q4_K_M",
            },
        })
    };
    Answer::value(&json!({"models": [
        model("llama3.1:8b", "llama", 4_920_753_328), model("qwen3:8b", "qwen3", 5_225_388_164),
        model("nomic-embed-text:latest", "nomic-bert", 274_302_450),
    ]}))
}

/// `GET /api/version`.
pub(crate) fn version() -> Answer {
    Answer::value(&json!({"version": "0.12.0"}))
}

fn answer_json(call: &Call<'_>, answer: impl FnOnce(&Value) -> Result<Answer, String>) -> Answer {
    let answered = match call.body.json() {
        Ok(body) if body["model"].is_string() => answer(&body),
        Ok(_) => Err("model is required".to_owned()),
        Err(problem) => Err(problem.to_string()),
    };
    answered.unwrap_or_else(|message| error(Dialect::Ollama, StatusCode::BAD_REQUEST, &message, call))
}

fn prompt(body: &Value) -> Prompt {
    Prompt {
        limit: body["options"]["num_predict"].as_u64(),
        thinks: body["think"].as_bool().unwrap_or(false),
        schema: match &body["format"] {
            schema @ Value::Object(_) => Some(schema.clone()),
            format if format == "json" => Some(Value::Null),
            _ => None,
        },
        ..Prompt::default()
    }
}

/// Whole or as lines, in a shape that is given text, thinking and calls.
fn respond(
    body: &Value,
    prompt: &Prompt,
    shape: impl Fn(&str, &str, Value) -> Value,
    call: &Call<'_>,
) -> Answer {
    let reply = Reply::to(prompt, call.seed, call.directives);
    let created = openai::created_at(call.seed);
    let with_head = |mut answer: Value| {
        answer["model"] = body["model"].clone();
        answer["created_at"] = created.to_string().into();
        answer["done"] = false.into();
        answer
    };
    let calls = match reply.calls.as_slice() {
        [] => Value::Null,
        calls => calls
            .iter()
            .map(|call| {
                let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
                json!({"function": {"name": call.name, "arguments": arguments}})
            })
            .collect(),
    };
    if body["stream"] == false {
        let mut whole = with_head(shape(&reply.text, &reply.thinking, calls));
        finish(&mut whole, &reply, call);
        return Answer::value(&whole);
    }
    let mut lines = Frames::default();
    let mut push = |line: &Value| lines.push(format!("{line}\n").as_bytes());
    for piece in pieces(&reply.thinking, None) {
        push(&with_head(shape("", piece, Value::Null)));
    }
    if !reply.text.is_empty() {
        for piece in pieces(&reply.text, call.directives.chunks) {
            push(&with_head(shape(piece, "", Value::Null)));
        }
    }
    if !calls.is_null() {
        push(&with_head(shape("", "", calls)));
    }
    if call.directives.error_in_stream {
        push(&json!({"error": usual_message(StatusCode::INTERNAL_SERVER_ERROR)}));
    } else {
        let mut last = with_head(shape("", "", Value::Null));
        finish(&mut last, &reply, call);
        push(&last);
    }
    Answer::new("application/x-ndjson", Payload::Frames(lines))
}

/// What the last line says; durations are in nanoseconds, at a hundred tokens a second.
fn finish(answer: &mut Value, reply: &Reply, call: &Call<'_>) {
    const TOKEN: u64 = 10_000_000;
    let usage = reply.usage;
    answer["done"] = true.into();
    answer["done_reason"] = if reply.finish == Finish::Length { "length" } else { "stop" }.into();
    answer["total_duration"] = ((usage.input + usage.output) * TOKEN).into();
    answer["load_duration"] = 28_126_292.into();
    if !call.directives.no_usage {
        answer["prompt_eval_count"] = usage.input.into();
        answer["prompt_eval_duration"] = (usage.input * TOKEN).into();
        answer["eval_count"] = usage.output.into();
        answer["eval_duration"] = (usage.output * TOKEN).into();
    }
}
