//! Answers of the other endpoints, told apart by their fields.

use serde_json::Value;

use crate::json::{Object, ObjectExt};
use crate::language::objects;
use crate::openai_chat::content::{image, image_made, left, parts};
use crate::openai_chat::{answer, request};
use crate::read::take_head;
use crate::reading::{Choice, Part, Reading};

/// Reads an answer that came whole.
pub(super) fn read(mut body: Object, are_images: bool, reading: &mut Reading) {
    if body.contains_key("choices") {
        return answer::read(body, reading);
    }
    take_head(&mut body, reading);
    answer::take_usage(&mut body, reading);
    let mut found = Vec::new();
    if let Some(text) = body.take_string("text") {
        found.push(Part::text(text));
    }
    if are_images {
        images(&mut body, &mut found);
    }
    match body.text("object") {
        Some("thread.message") => {
            found.extend(parts(body.remove("content").unwrap_or_default()));
        }
        Some("list") if body.get("data").is_some_and(holds_messages) => {
            // What a thread held so far, newest first.
            let mut messages: Vec<_> = body.take_list("data").into_iter().map(request::message).collect();
            messages.reverse();
            reading.messages.append(&mut messages);
        }
        _ => {}
    }
    for key in ["data", "results"] {
        if let Some(count) = body.get(key).and_then(Value::as_array).map(Vec::len).filter(|count| *count > 0)
        {
            reading.note(format!("the answer is a list of {count}"));
        }
    }
    // Lists of models and files are long and say nothing of a conversation.
    body.remove("data");
    for key in ["created", "created_at", "error"] {
        body.remove(key);
    }
    reading.answer.extra = left(body);
    if !found.is_empty() {
        reading.answer.choices.push(Choice { parts: found, ..Choice::default() });
    }
}

fn holds_messages(data: &Value) -> bool {
    let is_message = |entry: &Value| entry.get("object").and_then(Value::as_str) == Some("thread.message");
    data.as_array().is_some_and(|list| list.first().is_some_and(is_message))
}

/// Images that were made, each after the prompt that it was really made from.
fn images(body: &mut Object, found: &mut Vec<Part>) {
    let format = body.text("output_format").map(str::to_owned);
    for mut entry in objects(body.take_list("data")) {
        found.extend(entry.take_string("revised_prompt").filter(|prompt| !prompt.is_empty()).map(Part::text));
        match entry.take_string("b64_json") {
            Some(data) => found.push(image_made(data, format.as_deref())),
            None => found.extend(image(&mut entry).map(Part::Image)),
        }
    }
}
