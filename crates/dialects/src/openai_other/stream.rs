//! Folding the other endpoints' streams: completions, transcriptions, speech, images, runs of assistants.

use serde::Serialize;
use serde_json::Value;

use crate::json::{Object, ObjectExt, kept};
use crate::language::{Fold, Step, objects};
use crate::openai_chat::answer::take_usage;
use crate::openai_chat::content::{self, image_made};
use crate::openai_chat::stream::{ChatFold, append_base64};
use crate::read::take_head;
use crate::reading::{Audio, Choice, Part, Reading};

/// Folds frames; those with choices as chat completions are.
#[derive(Default, Serialize)]
pub(super) struct OtherFold {
    chat: ChatFold,
    text: String,
    audio: Option<Audio>,
    others: Vec<Part>,
}

impl Fold for OtherFold {
    fn frame(&mut self, name: Option<&str>, mut frame: Object, reading: &mut Reading) -> Step {
        if frame.contains_key("choices") {
            return self.chat.frame(name, frame, reading);
        }
        let kind = frame.text("type").or(frame.text("object")).or(name).unwrap_or_default().to_owned();
        match kind.as_str() {
            "transcript.text.delta" => {
                self.text.push_str(frame.text("delta").unwrap_or_default());
                Step::TOKEN
            }
            "transcript.text.done" => {
                if let Some(text) = frame.take_string("text") {
                    self.text = text;
                }
                take_usage(&mut frame, reading);
                Step::END
            }
            "speech.audio.delta" => {
                if let Some(data) = frame.take_string("audio") {
                    let audio = self.audio.get_or_insert_default();
                    append_base64(audio.media.data.get_or_insert_default(), &data);
                }
                Step::TOKEN
            }
            "image_generation.completed" | "image_edit.completed" => {
                take_usage(&mut frame, reading);
                if let Some(data) = frame.take_string("b64_json") {
                    self.others.push(image_made(data, frame.text("output_format")));
                }
                Step::TOKEN.and(Step::END)
            }
            "thread.message.delta" => {
                for mut part in frame
                    .take_object("delta")
                    .into_iter()
                    .flat_map(|mut delta| objects(delta.take_list("content")))
                {
                    match part.take_object("text") {
                        Some(text) => self.text.push_str(text.text("value").unwrap_or_default()),
                        None => self.others.extend(content::parts(Value::Object(part))),
                    }
                }
                Step::TOKEN
            }
            "thread.run" => {
                take_head(&mut frame, reading);
                take_usage(&mut frame, reading);
                let ended = matches!(
                    frame.text("status"),
                    Some("completed" | "incomplete" | "cancelled" | "failed" | "expired" | "requires_action")
                );
                if ended { Step::END } else { Step::NOTHING }
            }
            // A run's steps tell their own usage, which the run's includes.
            _ if kind.starts_with("thread.") => Step::NOTHING,
            _ => {
                take_usage(&mut frame, reading);
                if kind.ends_with(".done") { Step::END } else { Step::NOTHING }
            }
        }
    }

    fn kept(&self) -> usize {
        kept(self)
    }

    fn finish(&mut self, reading: &mut Reading) {
        self.chat.finish(reading);
        let mut parts = Vec::new();
        if !self.text.is_empty() {
            parts.push(Part::text(std::mem::take(&mut self.text)));
        }
        parts.extend(self.audio.take().map(Part::Audio));
        parts.append(&mut self.others);
        if !parts.is_empty() {
            reading.answer.choices.push(Choice { parts, ..Choice::default() });
        }
    }
}
