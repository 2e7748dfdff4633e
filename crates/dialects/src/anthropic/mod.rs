//! Anthropic's messages, their token counts, and the text completions that came before them.

pub(crate) mod blocks;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod usage;

use serde_json::Value;

use crate::json::{Object, ObjectExt};
use crate::language::{Fold, Language};
use crate::openai_chat::content::left;
use crate::read::take_head;
use crate::reading::{Choice, Part, Reading};
pub(crate) use stream::AnthropicFold;

/// Anthropic.
pub(crate) struct Anthropic;

impl Language for Anthropic {
    fn request(&self, body: Object, reading: &mut Reading) {
        request::read(body, reading);
    }

    fn document(&self, body: Object, reading: &mut Reading) {
        read_message(body, reading);
    }

    fn fold(&self) -> Box<dyn Fold> {
        Box::new(AnthropicFold::default())
    }
}

/// Reads a message that came whole; or a count of tokens, or a completion.
pub(crate) fn read_message(mut body: Object, reading: &mut Reading) {
    take_head(&mut body, reading);
    if let Some(usage) = body.take_object("usage") {
        reading.usage = usage::told(&usage);
    } else if body.contains_key("input_tokens") {
        reading.usage = usage::told(&body);
        body.remove("input_tokens");
    }
    let parts = match body.take_string("completion") {
        Some(text) => vec![Part::text(text)],
        None => body.remove("content").map(blocks::parts).unwrap_or_default(),
    };
    let finish_reason = body.take_word("stop_reason");
    if let Some(data) = body.get("data").and_then(Value::as_array) {
        reading.note(format!("the answer is a list of {}", data.len()));
        return;
    }
    for key in ["type", "role", "error", "log_id"] {
        body.remove(key);
    }
    reading.answer.extra = left(body);
    if !parts.is_empty() || finish_reason.is_some() {
        reading.answer.choices.push(Choice { parts, finish_reason, ..Choice::default() });
    }
}
