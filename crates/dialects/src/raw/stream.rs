//! Folding streams that are no dialect's: each frame is taken for what it looks like.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{converse_part, usage};
use crate::anthropic::AnthropicFold;
use crate::json::{Object, ObjectExt, join_object, kept};
use crate::language::{Fold, Step};
use crate::openai_chat::stream::ChatFold;
use crate::reading::{Choice, Part, Reading};

/// Folds frames.
#[derive(Default, Serialize)]
pub(super) struct RawFold {
    anthropic: AnthropicFold,
    chat: ChatFold,
    /// Bedrock's blocks by index.
    blocks: BTreeMap<u64, Object>,
    text: String,
    finish_reason: Option<String>,
}

impl Fold for RawFold {
    fn frame(&mut self, name: Option<&str>, mut frame: Object, reading: &mut Reading) -> Step {
        if frame.contains_key("choices") {
            return self.chat.frame(name, frame, reading);
        }
        let kind = frame.text("type").or(name).unwrap_or_default().to_owned();
        let is_anthropic = matches!(
            kind.as_str(),
            "message_start"
                | "content_block_start"
                | "content_block_delta"
                | "message_delta"
                | "message_stop"
        );
        if is_anthropic || frame.contains_key("completion") {
            return self.anthropic.frame(Some("completion"), frame, reading);
        }
        match kind.as_str() {
            "contentBlockStart" => self.block(frame, "start"),
            "contentBlockDelta" => self.block(frame, "delta"),
            "messageStop" => {
                self.finish_reason = frame.take_word("stopReason");
                Step::END
            }
            "message-end" => {
                // Cohere.
                let delta = frame.take_object("delta").unwrap_or_default();
                self.finish_reason = delta.text("finish_reason").map(str::to_owned);
                reading.usage = usage(&delta).or(reading.usage);
                Step::END
            }
            _ => self.any(frame, reading),
        }
    }

    fn kept(&self) -> usize {
        kept(self)
    }

    fn finish(&mut self, reading: &mut Reading) {
        self.chat.finish(reading);
        self.anthropic.finish(reading);
        let mut parts: Vec<Part> =
            std::mem::take(&mut self.blocks).into_values().map(converse_part).collect();
        if !self.text.is_empty() {
            parts.push(Part::text(std::mem::take(&mut self.text)));
        }
        let finish_reason = self.finish_reason.take();
        if !parts.is_empty() || finish_reason.is_some() {
            reading.answer.choices.push(Choice { parts, finish_reason, ..Choice::default() });
        }
    }
}

impl RawFold {
    fn block(&mut self, mut frame: Object, key: &str) -> Step {
        let block = self.blocks.entry(frame.count("contentBlockIndex").unwrap_or(0)).or_default();
        if let Some(piece) = frame.take_object(key) {
            join_object(block, piece);
        }
        Step { token: key == "delta", ..Step::NOTHING }
    }

    /// A frame of which only its usage, and a text under a plain name, are understood.
    fn any(&mut self, mut frame: Object, reading: &mut Reading) -> Step {
        reading.usage = usage(&frame).or(reading.usage);
        if let Some(model) = frame.take_string("model") {
            reading.model_served = Some(model);
        }
        let cohere = frame
            .object("delta")
            .and_then(|delta| delta.object("message")?.object("content")?.text("text").map(str::to_owned));
        let said = cohere.or_else(|| {
            ["text", "outputText", "generation", "completion"].iter().find_map(|key| frame.take_string(key))
        });
        match said {
            Some(said) if !said.is_empty() => {
                self.text.push_str(&said);
                Step::TOKEN
            }
            _ => Step::NOTHING,
        }
    }
}
