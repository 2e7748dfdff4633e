//! Folding Anthropic's events.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::blocks::block_part;
use super::usage::Told;
use crate::counting::without_output;
use crate::json::{Object, ObjectExt, join_object, kept};
use crate::language::{Fold, Step};
use crate::openai_chat::content::left;
use crate::read::take_head;
use crate::reading::{Choice, Part, Reading};

/// Folds events.
#[derive(Default, Serialize)]
pub(crate) struct AnthropicFold {
    blocks: BTreeMap<u64, Block>,
    /// Text of the completions that came before messages.
    completion: String,
    usage: Told,
    usage_is_final: bool,
    finish_reason: Option<String>,
    extra: Object,
}

/// A block as it was begun, what was added to it, and the input of a call as text.
#[derive(Default, Serialize)]
struct Block {
    begun: Object,
    input: String,
}

/// The most common event: a piece of a block's text, thinking or input. It is read without building a tree of values.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainEvent<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    index: u64,
    #[serde(borrow)]
    delta: PlainDelta<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainDelta<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, alias = "thinking", alias = "partial_json")]
    text: Cow<'a, str>,
}

impl Fold for AnthropicFold {
    fn frame_bytes(&mut self, bytes: &[u8], _reading: &mut Reading) -> Option<Step> {
        let event: PlainEvent<'_> = serde_json::from_slice(bytes).ok()?;
        if event.kind != "content_block_delta" {
            return None;
        }
        let block = self.blocks.get_mut(&event.index)?;
        let key = match &*event.delta.kind {
            "input_json_delta" => {
                block.input.push_str(&event.delta.text);
                return Some(Step::TOKEN);
            }
            "text_delta" => "text",
            "thinking_delta" => "thinking",
            _ => return None,
        };
        match block.begun.get_mut(key) {
            Some(Value::String(text)) => text.push_str(&event.delta.text),
            _ => return None,
        }
        Some(Step::TOKEN)
    }

    fn frame(&mut self, name: Option<&str>, mut event: Object, reading: &mut Reading) -> Step {
        let kind = event.take_string("type").or_else(|| name.map(str::to_owned)).unwrap_or_default();
        match kind.as_str() {
            "message_start" => {
                let Some(mut message) = event.take_object("message") else { return Step::NOTHING };
                take_head(&mut message, reading);
                self.update_usage(message.take_object("usage").as_ref(), reading);
                for (index, block) in message.take_list("content").into_iter().enumerate() {
                    if let Value::Object(begun) = block {
                        self.blocks.insert(index as u64, Block { begun, input: String::new() });
                    }
                }
                self.finish_reason = message.take_word("stop_reason");
                Step::NOTHING
            }
            "content_block_start" => {
                let Some(begun) = event.take_object("content_block") else { return Step::NOTHING };
                // A text that is still empty is no token yet; a call's name is.
                let token = !matches!(begun.text("type"), Some("text" | "thinking"));
                self.blocks.insert(event.count("index").unwrap_or(0), Block { begun, input: String::new() });
                Step { token, ..Step::NOTHING }
            }
            "content_block_delta" => {
                let Some(delta) = event.take_object("delta") else { return Step::NOTHING };
                self.blocks.entry(event.count("index").unwrap_or(0)).or_default().add(delta);
                Step::TOKEN
            }
            "message_delta" => {
                let mut step = Step::NOTHING;
                if let Some(mut delta) = event.take_object("delta") {
                    if let Some(reason) = delta.take_word("stop_reason") {
                        self.finish_reason = Some(reason);
                        step.usage_is_final = true;
                        self.usage_is_final = true;
                    }
                    self.extra.extend(left(delta));
                }
                self.update_usage(event.take_object("usage").as_ref(), reading);
                step
            }
            "message_stop" => Step::END,
            "completion" => {
                take_head(&mut event, reading);
                let text = event.take_string("completion").unwrap_or_default();
                self.completion.push_str(&text);
                let step = Step { token: !text.is_empty(), ..Step::NOTHING };
                match event.take_word("stop_reason") {
                    Some(reason) => {
                        self.finish_reason = Some(reason);
                        step.and(Step::END)
                    }
                    None => step,
                }
            }
            _ => Step::NOTHING,
        }
    }

    fn kept(&self) -> usize {
        kept(self)
    }

    fn finish(&mut self, reading: &mut Reading) {
        let mut parts: Vec<Part> = std::mem::take(&mut self.blocks).into_values().map(Block::part).collect();
        if !self.completion.is_empty() {
            parts.push(Part::text(std::mem::take(&mut self.completion)));
        }
        reading.answer.extra = std::mem::take(&mut self.extra);
        if !self.usage_is_final && self.usage.usage().is_some() {
            // What a message begins with is no count of its output yet.
            reading.usage = reading.usage.and_then(without_output);
        }
        if !parts.is_empty() || self.finish_reason.is_some() {
            reading.answer.choices.push(Choice {
                parts,
                finish_reason: self.finish_reason.take(),
                ..Choice::default()
            });
        }
    }
}

impl AnthropicFold {
    fn update_usage(&mut self, usage: Option<&Object>, reading: &mut Reading) {
        if let Some(usage) = usage {
            self.usage.update(usage);
            reading.usage = self.usage.usage();
        }
    }
}

impl Block {
    fn add(&mut self, mut delta: Object) {
        match delta.text("type") {
            Some("input_json_delta") => self.input.push_str(delta.text("partial_json").unwrap_or_default()),
            Some("citations_delta") => {
                if let Some(citation) = delta.take_value("citation")
                    && let Some(list) = list_at(&mut self.begun, "citations")
                {
                    list.push(citation);
                }
            }
            kind => {
                if !self.begun.contains_key("type") {
                    // The block's start was lost: its deltas tell what it is.
                    let kind = match kind {
                        Some("thinking_delta" | "signature_delta") => "thinking",
                        _ => "text",
                    };
                    self.begun.insert("type".into(), kind.into());
                }
                delta.remove("type");
                join_object(&mut self.begun, delta);
            }
        }
    }

    fn part(mut self) -> Part {
        if self.begun.get("type").is_none() && !self.input.is_empty() {
            self.begun.insert("type".into(), "tool_use".into());
        }
        // The input may be complete at the start already.
        block_part(self.begun, Some(self.input).filter(|input| !input.is_empty()))
    }
}

/// The list under a key, made if there is none.
fn list_at<'a>(object: &'a mut Object, key: &str) -> Option<&'a mut Vec<Value>> {
    let value = object.entry(key).or_insert(Value::Null);
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    value.as_array_mut()
}
