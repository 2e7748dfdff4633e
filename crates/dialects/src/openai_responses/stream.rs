//! Folding the events of a streamed response.
//!
//! The last event repeats the whole response and is preferred. Where it does not come, or comes without its output,
//! the response is rebuilt from the items and their deltas. Sequence numbers and events' names are not relied on:
//! some providers send neither.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::read_response;
use crate::json::{NEAR, Object, ObjectExt, kept};
use crate::language::{Fold, Step};
use crate::reading::Reading;

/// Folds events.
#[derive(Default, Serialize)]
pub(crate) struct ResponsesFold {
    /// The items so far, by their place in the output.
    items: BTreeMap<u64, Object>,
    /// The response as an event told it last.
    response: Option<Object>,
}

impl Fold for ResponsesFold {
    fn frame(&mut self, name: Option<&str>, mut event: Object, _reading: &mut Reading) -> Step {
        let kind = event.take_string("type").or_else(|| name.map(str::to_owned)).unwrap_or_default();
        if let Some(response) = event.take_object("response") {
            self.response = Some(response);
            return match kind.as_str() {
                "response.completed"
                | "response.incomplete"
                | "response.failed"
                | "response.cancelled"
                | "response.done" => Step::END,
                _ => Step::NOTHING,
            };
        }
        match kind.as_str() {
            "response.output_item.added" | "response.output_item.done" => {
                let at = self.place(&event);
                if let Some(item) = event.take_object("item") {
                    // A finished item is told whole; a message that was only begun is no token.
                    let token = kind.ends_with("done");
                    self.items.insert(at, item);
                    return Step { token, ..Step::NOTHING };
                }
                Step::NOTHING
            }
            "response.content_part.added" | "response.content_part.done" => {
                let part = event.take_value("part");
                if let (Some(part), Some(slot)) =
                    (part, self.slot(&event, "content", "content_index", &Value::Null))
                {
                    *slot = part;
                }
                Step::NOTHING
            }
            "response.output_text.annotation.added" => {
                let annotation = event.take_value("annotation");
                let text = json!({"type": "output_text", "text": ""});
                if let (Some(annotation), Some(Value::Object(part))) =
                    (annotation, self.slot(&event, "content", "content_index", &text))
                {
                    match part.get_mut("annotations") {
                        Some(Value::Array(list)) => list.push(annotation),
                        _ => {
                            part.insert("annotations".into(), Value::Array(vec![annotation]));
                        }
                    }
                }
                Step::NOTHING
            }
            _ => self.text(&kind, event),
        }
    }

    fn kept(&self) -> usize {
        kept(self)
    }

    fn finish(&mut self, reading: &mut Reading) {
        let items: Vec<Value> = std::mem::take(&mut self.items).into_values().map(Value::Object).collect();
        let mut response = self.response.take().unwrap_or_default();
        let told = response.get("output").and_then(Value::as_array).is_some_and(|output| !output.is_empty());
        if !told {
            response.insert("output".into(), Value::Array(items));
        }
        read_response(response, reading);
    }
}

/// Which field of an item a kind of delta adds to.
enum Field {
    /// A field of the item itself.
    Item(&'static str),
    /// The text of one of its parts: the list, the index that tells which, the part's type and the text's key.
    Part(&'static str, &'static str, &'static str, &'static str),
}

impl Field {
    /// For the kind of an event, without its `.delta` or `.done`; and the key under which `.done` tells the whole.
    fn of(kind: &str) -> Option<(Self, &'static str)> {
        Some(match kind {
            "response.output_text" => (Self::Part("content", "content_index", "output_text", "text"), "text"),
            "response.refusal" => (Self::Part("content", "content_index", "refusal", "refusal"), "refusal"),
            "response.reasoning_text" => {
                (Self::Part("content", "content_index", "reasoning_text", "text"), "text")
            }
            "response.reasoning_summary_text" => {
                (Self::Part("summary", "summary_index", "summary_text", "text"), "text")
            }
            "response.function_call_arguments"
            | "response.mcp_call_arguments"
            | "response.mcp_call.arguments" => (Self::Item("arguments"), "arguments"),
            "response.custom_tool_call_input" => (Self::Item("input"), "input"),
            "response.code_interpreter_call_code" | "response.code_interpreter_call.code" => {
                (Self::Item("code"), "code")
            }
            _ => return None,
        })
    }
}

impl ResponsesFold {
    fn text(&mut self, kind: &str, mut event: Object) -> Step {
        let (kind, is_delta) = match kind.strip_suffix(".delta") {
            Some(kind) => (kind, true),
            None => (kind.strip_suffix(".done").unwrap_or(kind), false),
        };
        let Some((field, whole)) = Field::of(kind) else { return Step::NOTHING };
        let Some(text) = event.take_string(if is_delta { "delta" } else { whole }) else {
            return Step::NOTHING;
        };
        let token = is_delta && !text.is_empty();
        let into = match field {
            Field::Item(key) => Some(
                self.items
                    .entry(self.place(&event))
                    .or_default()
                    .entry(key)
                    .or_insert_with(|| String::new().into()),
            ),
            Field::Part(list, index, kind, key) => self
                .slot(&event, list, index, &json!({"type": kind, key: ""}))
                .and_then(Value::as_object_mut)
                .map(|part| part.entry(key).or_insert_with(|| String::new().into())),
        };
        match into {
            Some(Value::String(have)) if is_delta => have.push_str(&text),
            Some(into) => *into = Value::String(text),
            None => {}
        }
        Step { token, ..Step::NOTHING }
    }

    /// Where in the output the item of an event is.
    fn place(&self, event: &Object) -> u64 {
        if let Some(index) = event.count("output_index") {
            return index;
        }
        let id = event.text("item_id").or_else(|| event.object("item")?.text("id"));
        let known = id
            .and_then(|id| self.items.iter().rev().take(NEAR).find(|(_, item)| item.text("id") == Some(id)));
        match known {
            Some((at, _)) => *at,
            None if event.contains_key("item") => self.items.keys().next_back().map_or(0, |last| last + 1),
            None => self.items.keys().next_back().copied().unwrap_or(0),
        }
    }

    /// The entry of an item's list that an event means; made if it is missing, and made anew if it is no object.
    fn slot(&mut self, event: &Object, list: &str, index: &str, empty: &Value) -> Option<&mut Value> {
        let at = self.place(event);
        let item = self.items.entry(at).or_default();
        if !item.contains_key("type") {
            // The event that began the item was lost.
            item.insert("type".into(), if list == "summary" { "reasoning" } else { "message" }.into());
        }
        let entries = item.entry(list).or_insert_with(|| Value::Array(Vec::new()));
        if !entries.is_array() {
            *entries = Value::Array(Vec::new());
        }
        let entries = entries.as_array_mut()?;
        let most = entries.len() + MOST_SKIPPED;
        let index = usize::try_from(event.count(index).unwrap_or(0)).ok().filter(|index| *index <= most)?;
        while entries.len() <= index {
            entries.push(Value::Null);
        }
        if entries[index].is_null() {
            entries[index] = empty.clone();
        }
        entries.get_mut(index)
    }
}

/// So many parts' events may be lost in a row. An index further on is garbage, and making room for it would cost more
/// than the event itself.
const MOST_SKIPPED: usize = 16;
