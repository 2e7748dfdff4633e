//! Gemini's interactions: steps of input and output, streamed block by block.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use verbatim_core::model::Usage;

use super::parts::media;
use crate::counting::known;
use crate::json::{Object, ObjectExt, entries, join_object, kept, to_text};
use crate::language::{Fold, Step, objects};
use crate::openai_chat::content::{citations, left};
use crate::openai_chat::tools;
use crate::read::take_head;
use crate::reading::{Choice, Media, Message, Part, Reading, Reasoning, Role, Text, ToolCall, ToolResult};

/// Reads a request.
pub(super) fn read_request(mut body: Object, reading: &mut Reading) {
    reading.model_asked = body.take_string("model").or_else(|| body.take_string("agent"));
    reading.stream_asked = body.flag("stream");
    body.remove("stream");
    if let Some(system) = body.take_string("system_instruction") {
        reading.messages.push(Message::text(Role::System, system));
    }
    match body.remove("input") {
        Some(Value::String(text)) => reading.messages.push(Message::text(Role::User, text)),
        Some(Value::Object(block)) => reading.messages.push(Message::new(Role::User, block_parts(block))),
        Some(Value::Array(list)) => entries(list).for_each(|entry| read_input(entry, reading)),
        _ => {}
    }
    reading.tools = tools::definitions(body.take_list("tools"));
    reading.parameters.append(&mut body);
}

/// An entry of the input: a turn with a role, a step of an earlier answer, or content of the user's.
fn read_input(entry: Value, reading: &mut Reading) {
    let Value::Object(mut entry) = entry else {
        let part = entry.as_str().map_or_else(|| Part::Other { value: entry.clone() }, Part::text);
        return push(reading, Role::User, vec![part]);
    };
    let role = match (entry.take_string("role"), entry.text("type")) {
        (Some(role), _) => Role::from_word(&role),
        (None, Some("model_output" | "thought" | "function_call")) => Role::Assistant,
        (None, Some("function_result")) => Role::Tool,
        (None, _) => Role::User,
    };
    let is_block = entry.contains_key("type") && !entry.contains_key("content");
    let parts = if is_block {
        block_parts(entry)
    } else {
        content_parts(entry.remove("content").unwrap_or_default())
    };
    push(reading, role, parts);
}

fn push(reading: &mut Reading, role: Role, parts: Vec<Part>) {
    match reading.messages.last_mut() {
        Some(last) if last.role == role => last.parts.extend(parts),
        _ => reading.messages.push(Message::new(role, parts)),
    }
}

fn content_parts(content: Value) -> Vec<Part> {
    match content {
        Value::String(text) => vec![Part::text(text)],
        Value::Array(list) => objects(list).flat_map(block_parts).collect(),
        Value::Object(block) => block_parts(block),
        _ => Vec::new(),
    }
}

/// The parts of a block or step.
fn block_parts(mut block: Object) -> Vec<Part> {
    let kind = block.text("type").unwrap_or_default().to_owned();
    let signature = block.take_string("signature");
    let part = match kind.as_str() {
        "text" => Part::Text(Text {
            text: block.take_string("text").unwrap_or_default(),
            citations: citations(block.take_list("annotations")),
            signature,
        }),
        "thought" => {
            let mut text: String = block.take_string("text").unwrap_or_default();
            let summary = block.remove("summary").map(content_parts).unwrap_or_default();
            text.extend(
                summary
                    .iter()
                    .filter_map(|part| if let Part::Text(text) = part { Some(&*text.text) } else { None }),
            );
            Part::Reasoning(Reasoning { text, signature, encrypted: None })
        }
        "function_call"
        | "code_execution_call"
        | "google_search_call"
        | "url_context_call"
        | "mcp_server_tool_call" => Part::ToolCall(ToolCall {
            id: block.take_string("id"),
            arguments: block.get("arguments").map(to_text).unwrap_or_default(),
            by_provider: kind != "function_call",
            signature,
            name: block.take_string("name").unwrap_or(kind),
        }),
        "function_result" | "code_execution_result" | "google_search_result" | "url_context_result" => {
            let result = block.remove("result").unwrap_or_default();
            Part::ToolResult(ToolResult {
                call_id: block.take_string("call_id"),
                name: block.take_string("name"),
                parts: vec![Part::text(result.as_str().map_or_else(|| to_text(&result), str::to_owned))],
                is_error: block.flag("is_error"),
            })
        }
        "image" | "audio" | "video" | "document" => {
            let media_type = block.take_string("mime_type").or_else(|| Some(format!("{kind}/*")));
            let (data, url) = (block.take_string("data"), block.take_string("uri"));
            media(Media { media_type, data, url, ..Media::default() })
        }
        _ if block.contains_key("content") => {
            return content_parts(block.remove("content").unwrap_or_default());
        }
        // A step that a stream began and filled with text.
        "model_output" => match block.take_string("text") {
            Some(text) => {
                Part::Text(Text { text, signature, citations: citations(block.take_list("annotations")) })
            }
            None => return Vec::new(),
        },
        _ => Part::Other { value: Value::Object(block) },
    };
    vec![part]
}

/// Reads an interaction that came whole.
pub(super) fn read(mut body: Object, reading: &mut Reading) {
    take_head(&mut body, reading);
    if let Some(agent) = body.take_string("agent") {
        reading.model_served.get_or_insert(agent);
    }
    if let Some(told) = body.take_object("usage") {
        reading.usage = usage(&told);
    }
    let mut parts: Vec<Part> = objects(body.take_list("outputs")).flat_map(block_parts).collect();
    // Steps repeat what was put in.
    let steps = objects(body.take_list("steps"))
        .filter(|step| !matches!(step.text("type"), Some("user_input" | "function_result")));
    parts.extend(steps.flat_map(block_parts));
    let finish_reason = body.take_string("status").filter(|status| status != "in_progress");
    for key in ["object", "created", "updated", "input", "error", "tools"] {
        body.remove(key);
    }
    reading.answer.extra = left(body);
    if !parts.is_empty() || finish_reason.is_some() {
        reading.answer.choices = vec![Choice { parts, finish_reason, ..Choice::default() }];
    }
}

fn usage(told: &Object) -> Option<Usage> {
    let sum = |keys: [&str; 2]| keys.iter().filter_map(|key| told.count(key)).reduce(u64::saturating_add);
    known(Usage {
        input_tokens: sum(["total_input_tokens", "total_tool_use_tokens"]),
        output_tokens: sum(["total_output_tokens", "total_thought_tokens"]),
        total_tokens: told.count("total_tokens"),
        cache_read_tokens: told.count("total_cached_tokens"),
        reasoning_tokens: told.count("total_thought_tokens"),
        ..Usage::default()
    })
}

/// Folds an interaction's events. Blocks are steps since 2026, contents before.
#[derive(Default, Serialize)]
pub(super) struct InteractionsFold {
    blocks: BTreeMap<u64, Object>,
    last: Option<Object>,
}

impl Fold for InteractionsFold {
    fn frame(&mut self, name: Option<&str>, mut event: Object, _reading: &mut Reading) -> Step {
        let kind = event.take_string("event_type").or_else(|| name.map(str::to_owned)).unwrap_or_default();
        let index = event.count("index").unwrap_or(0);
        match kind.as_str() {
            "step.start" | "content.start" => {
                let begun =
                    event.take_object("step").or_else(|| event.take_object("content")).unwrap_or_default();
                self.blocks.insert(index, begun);
                Step::NOTHING
            }
            "step.delta" | "content.delta" => {
                let Some(mut delta) = event.take_object("delta") else { return Step::NOTHING };
                let block = self.blocks.entry(index).or_default();
                if block.contains_key("type") {
                    delta.remove("type");
                }
                join_object(block, delta);
                Step::TOKEN
            }
            _ => {
                let Some(interaction) = event.take_object("interaction") else { return Step::NOTHING };
                let ended = matches!(
                    interaction.text("status"),
                    Some("completed" | "incomplete" | "failed" | "cancelled")
                ) || kind.ends_with(".completed")
                    || kind.ends_with(".complete");
                self.last = Some(interaction);
                if ended { Step::END } else { Step::NOTHING }
            }
        }
    }

    fn kept(&self) -> usize {
        kept(self)
    }

    fn finish(&mut self, reading: &mut Reading) {
        if let Some(last) = self.last.take() {
            read(last, reading);
        }
        let parts: Vec<Part> = std::mem::take(&mut self.blocks).into_values().flat_map(block_parts).collect();
        match reading.answer.choices.first_mut() {
            // The last event tells the outputs again, or only how it ended.
            Some(choice) if choice.parts.is_empty() => choice.parts = parts,
            Some(_) => {}
            None if parts.is_empty() => {}
            None => reading.answer.choices.push(Choice { parts, ..Choice::default() }),
        }
    }
}
