//! Requests to the other endpoints, told apart by their fields.

use serde_json::Value;

use crate::json::{Object, ObjectExt, entries};
use crate::openai_chat::{content, request, tools};
use crate::reading::{Audio, Media, Message, Part, Reading, Role};

/// Reads a request.
pub(super) fn read(mut body: Object, is_audio: bool, reading: &mut Reading) {
    reading.model_asked = body.take_string("model");
    // A form tells it as text.
    reading.stream_asked = body.flag("stream") || body.text("stream") == Some("true");
    body.remove("stream");
    if let Some(text) = body.take_string("instructions").filter(|text| !text.is_empty()) {
        reading.messages.push(Message::text(Role::System, text));
    }
    reading.messages.extend(entries(body.take_list("messages")).map(request::message));
    reading.messages.extend(entries(body.take_list("additional_messages")).map(request::message));
    let mut parts = Vec::new();
    for key in ["prompt", "input", "query", "text"] {
        if let Some(value) = body.remove(key) {
            input(value, &mut parts, reading);
        }
    }
    let documents = documents(&mut body);
    if !documents.is_empty() {
        reading.messages.push(Message::new(Role::Other("document".into()), documents));
    }
    for key in ["file", "image", "image[]", "mask", "input_reference"] {
        for file in files(&mut body, key) {
            parts.push(match key {
                "file" if is_audio => Part::Audio(Audio { media: file, ..Audio::default() }),
                "file" => Part::File(file),
                _ => Part::Image(file),
            });
        }
    }
    if !parts.is_empty() {
        reading.messages.push(Message::new(Role::User, parts));
    }
    reading.tools = tools::definitions(body.take_list("tools"));
    reading.parameters.append(&mut body);
}

/// An input: a text, texts, parts of content, or text as numbers of tokens, which only the model can read.
fn input(value: Value, parts: &mut Vec<Part>, reading: &mut Reading) {
    let Value::Array(list) = value else {
        return parts.extend(content::parts(value));
    };
    if list.first().is_some_and(Value::is_number) {
        return reading.note(format!("the input is {} numbers of tokens", list.len()));
    }
    for entry in entries(list) {
        match entry {
            Value::Array(tokens) => reading.note(format!("an input is {} numbers of tokens", tokens.len())),
            entry => parts.extend(content::parts(entry)),
        }
    }
}

/// The documents of a reranking.
fn documents(body: &mut Object) -> Vec<Part> {
    let mut parts = Vec::new();
    for document in entries(body.take_list("documents")) {
        match document {
            Value::Object(mut document) => match document.take_string("text") {
                Some(text) => parts.push(Part::text(text)),
                None => parts.push(Part::Other { value: Value::Object(document) }),
            },
            document => parts.extend(content::parts(document)),
        }
    }
    parts
}

/// The files that a form holds under a name: their names and kinds.
fn files(body: &mut Object, key: &str) -> Vec<Media> {
    let is_file = |value: &Value| value.get("filename").is_some();
    let list = match body.get(key) {
        Some(value) if is_file(value) => body.remove(key).into_iter().collect(),
        Some(Value::Array(list)) if list.iter().all(is_file) => body.take_list(key),
        _ => Vec::new(),
    };
    list.iter()
        .map(|file| Media {
            name: file.get("filename").and_then(Value::as_str).map(str::to_owned),
            media_type: file.get("media_type").and_then(Value::as_str).map(str::to_owned),
            ..Media::default()
        })
        .collect()
}
