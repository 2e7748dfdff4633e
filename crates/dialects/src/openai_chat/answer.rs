//! Answers of chat completions that came whole, and the messages in them.

use serde_json::Value;

use super::content::{self, left};
use super::tools;
use crate::counting;
use crate::errors;
use crate::json::{Object, ObjectExt, word};
use crate::language::objects;
use crate::read::take_head;
use crate::reading::{Audio, Choice, Media, Part, Reading, Reasoning};

/// Reads an answer.
pub(crate) fn read(mut body: Object, reading: &mut Reading) {
    take_head(&mut body, reading);
    take_usage(&mut body, reading);
    for (position, choice) in objects(body.take_list("choices")).enumerate() {
        let choice = read_choice(choice, position as u64, reading);
        reading.answer.choices.push(choice);
    }
    for key in ["object", "created", "error"] {
        body.remove(key);
    }
    reading.answer.extra = left(body);
}

fn read_choice(mut choice: Object, position: u64, reading: &mut Reading) -> Choice {
    take_choice_error(&mut choice, reading);
    let index = choice.count("index").unwrap_or(position);
    choice.remove("index");
    let mut parts = Vec::new();
    let mut extra = Object::new();
    if let Some(mut message) = choice.take_object("message").or_else(|| choice.take_object("delta")) {
        message.remove("role");
        parts = self::parts(&mut message);
        extra = left(message);
    }
    if let Some(text) = choice.take_string("text").filter(|text| !text.is_empty()) {
        parts.push(Part::text(text));
    }
    let finish_reason = choice.take_word("finish_reason");
    let logprobs = choice.take_value("logprobs").and_then(told_logprobs);
    extra.extend(left(choice));
    Choice { index, parts, finish_reason, logprobs, extra }
}

/// OpenRouter tells a provider's error inside the choice that it broke off.
pub(crate) fn take_choice_error(choice: &mut Object, reading: &mut Reading) {
    if let Some(error @ Value::Object(_)) = choice.remove("error")
        && reading.error.is_none()
    {
        reading.error = errors::explicit(&serde_json::json!({ "error": error }));
    }
}

/// Usage of a document or frame, wherever it is. The last one told counts: none is ever added to another.
pub(crate) fn take_usage(body: &mut Object, reading: &mut Reading) -> bool {
    let usage = body.take_object("usage").and_then(|usage| counting::openai(&usage)).or_else(|| {
        let groq = body.object("x_groq")?.object("usage")?;
        counting::openai(groq)
    });
    reading.usage = usage.or(reading.usage);
    usage.is_some()
}

/// Log probabilities that say something.
pub(crate) fn told_logprobs(logprobs: Value) -> Option<Value> {
    match logprobs {
        Value::Object(object) => {
            let told = left(object);
            (!told.is_empty()).then_some(Value::Object(told))
        }
        Value::Null => None,
        other => Some(other),
    }
}

/// Takes everything that a message says: reasoning, content, refusal, calls, audio, images, what it cites.
pub(crate) fn parts(message: &mut Object) -> Vec<Part> {
    let mut parts = Vec::new();
    parts.extend(take_reasoning(message).map(Part::Reasoning));
    parts.extend(content::parts(message.remove("content").unwrap_or_default()));
    if let Some(text) = message.take_string("refusal").filter(|text| !text.is_empty()) {
        parts.push(Part::Refusal { text });
    }
    parts.extend(objects(message.take_list("tool_calls")).filter_map(tools::call).map(Part::ToolCall));
    parts.extend(message.take_object("function_call").and_then(tools::call).map(Part::ToolCall));
    parts.extend(message.take_object("audio").and_then(audio).map(Part::Audio));
    for mut image in objects(message.take_list("images")) {
        parts.extend(content::image(&mut image).map(Part::Image));
    }
    cite(&mut parts, message.take_list("annotations"));
    parts
}

/// Adds citations to the text that they stand beside.
pub(crate) fn cite(parts: &mut [Part], annotations: Vec<Value>) {
    let text = parts.iter_mut().rev().find_map(|part| match part {
        Part::Text(text) => Some(text),
        _ => None,
    });
    if let Some(text) = text {
        text.citations.extend(content::citations(annotations));
    }
}

/// Reasoning under its many names: `reasoning_content` (DeepSeek, xAI, zai, Moonshot), `reasoning` (Groq, OpenRouter,
/// Ollama), `reasoning_details` (OpenRouter).
pub(crate) fn take_reasoning(message: &mut Object) -> Option<Reasoning> {
    let told = ["reasoning_content", "reasoning", "thinking"].iter().find_map(|key| message.take_string(key));
    let mut reasoning = Reasoning { text: told.unwrap_or_default(), ..Reasoning::default() };
    let details = message.take_list("reasoning_details");
    let listed: String = details
        .iter()
        .filter_map(|detail| detail.get("text").or_else(|| detail.get("summary"))?.as_str())
        .collect();
    if reasoning.text.is_empty() {
        reasoning.text = listed;
    }
    let detail = |key: &str| details.iter().find_map(|detail| word(detail.get(key)?));
    reasoning.signature = detail("signature").or_else(|| message.take_string("reasoning_signature"));
    reasoning.encrypted = detail("data");
    (reasoning != Reasoning::default()).then_some(reasoning)
}

/// Sound in an answer, or, in a request, the id of an earlier one.
pub(crate) fn audio(mut audio: Object) -> Option<Audio> {
    let mut text = |key: &str| audio.take_string(key).filter(|text| !text.is_empty());
    let media = Media { data: text("data"), ..Media::default() };
    let read = Audio { media, id: text("id"), transcript: text("transcript"), expires_at: None };
    let expires_at = audio.count("expires_at").filter(|at| *at > 0);
    let read = Audio { expires_at, ..read };
    (read != Audio::default()).then_some(read)
}
