//! Ollama's own API: chat, generate, embeddings.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use verbatim_core::model::Usage;

use crate::counting::known;
use crate::json::{NEAR, Object, ObjectExt, entries, kept, to_text};
use crate::language::{Fold, Language, Step, objects};
use crate::openai_chat::content::left;
use crate::openai_chat::tools;
use crate::read::take_head;
use crate::reading::{Choice, Media, Message, Part, Reading, Reasoning, Role, ToolCall, ToolResult};

/// Ollama at one of its paths.
pub(crate) struct Ollama {
    generates: bool,
}

impl Ollama {
    pub(crate) fn at(path: &[Cow<'_, str>]) -> Self {
        Self { generates: path.last().is_some_and(|last| matches!(last.as_ref(), "chat" | "generate")) }
    }
}

impl Language for Ollama {
    fn request(&self, mut body: Object, reading: &mut Reading) {
        reading.model_asked = body.take_string("model").or_else(|| body.take_string("name"));
        // It streams unless it is told not to.
        let stream = body.remove("stream").and_then(|stream| stream.as_bool());
        reading.stream_asked = stream.unwrap_or(self.generates);
        if let Some(system) = body.take_string("system").filter(|system| !system.is_empty()) {
            reading.messages.push(Message::text(Role::System, system));
        }
        let prompt = body.take_string("prompt");
        let images = images(&mut body);
        if prompt.is_some() || !images.is_empty() {
            let text = prompt.filter(|text| !text.is_empty()).map(Part::text);
            reading.messages.push(Message::new(Role::User, text.into_iter().chain(images).collect()));
        }
        match body.remove("input") {
            Some(Value::String(text)) => reading.messages.push(Message::text(Role::User, text)),
            Some(Value::Array(list)) => {
                let texts = entries(list).map(|text| match text {
                    Value::String(text) => Part::text(text),
                    value => Part::Other { value },
                });
                reading.messages.push(Message::new(Role::User, texts.collect()));
            }
            _ => {}
        }
        reading.messages.extend(objects(body.take_list("messages")).map(message));
        reading.tools = tools::definitions(body.take_list("tools"));
        // The conversation so far, as numbers of tokens.
        body.remove("context");
        reading.parameters = left(body);
    }

    fn document(&self, body: Object, reading: &mut Reading) {
        let mut fold = OllamaFold::default();
        fold.frame(None, body, reading);
        fold.finish(reading);
    }

    fn fold(&self) -> Box<dyn Fold> {
        Box::new(OllamaFold::default())
    }
}

fn images(object: &mut Object) -> Vec<Part> {
    object
        .take_list("images")
        .into_iter()
        .filter_map(|image| match image {
            Value::String(data) => Some(Part::Image(Media { data: Some(data), ..Media::default() })),
            _ => None,
        })
        .collect()
}

fn message(mut message: Object) -> Message {
    let role = Role::from_word(&message.take_string("role").unwrap_or_default());
    let mut parts = message_parts(&mut message);
    if role == Role::Tool {
        let name = message.take_string("tool_name").or_else(|| message.take_string("name"));
        parts = vec![Part::ToolResult(ToolResult {
            call_id: message.take_string("tool_call_id"),
            name,
            parts,
            is_error: false,
        })];
    }
    Message::new(role, parts)
}

fn message_parts(message: &mut Object) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = |key: &str| message.take_string(key).filter(|text| !text.is_empty());
    let (thinking, content) = (text("thinking"), text("content"));
    parts.extend(thinking.map(Part::reasoning));
    parts.extend(content.map(Part::text));
    parts.extend(images(message));
    for mut call in objects(message.take_list("tool_calls")) {
        let id = call.take_string("id");
        let mut function = call.take_object("function").unwrap_or(call);
        parts.push(Part::ToolCall(ToolCall {
            id,
            name: function.take_string("name").unwrap_or_default(),
            arguments: function.get("arguments").map(to_text).unwrap_or_default(),
            ..ToolCall::default()
        }));
    }
    parts
}

/// Folds lines; an answer that came whole is a stream of one.
#[derive(Default, Serialize)]
struct OllamaFold {
    choice: Choice,
    extra: Object,
    answers: bool,
}

impl Fold for OllamaFold {
    fn frame(&mut self, _name: Option<&str>, mut line: Object, reading: &mut Reading) -> Step {
        take_head(&mut line, reading);
        let mut step = Step::NOTHING;
        let mut parts = Vec::new();
        if let Some(mut message) = line.take_object("message") {
            parts = message_parts(&mut message);
            self.answers = true;
        }
        for (key, reasoning) in [("thinking", true), ("response", false)] {
            if let Some(text) = line.take_string(key) {
                self.answers = true;
                if !text.is_empty() {
                    parts.push(if reasoning { Part::reasoning(text) } else { Part::text(text) });
                }
            }
        }
        for part in parts {
            step.token = true;
            self.add(part);
        }
        if let Some(reason) = line.take_string("done_reason").filter(|reason| !reason.is_empty()) {
            self.choice.finish_reason = Some(reason);
        }
        let (input, output) = (line.count("prompt_eval_count"), line.count("eval_count"));
        let told = known(Usage { input_tokens: input, output_tokens: output, ..Usage::default() });
        reading.usage = told.or(reading.usage);
        if line.flag("done") {
            step = step.and(Step::END);
        }
        if let Some(list) = line.take_value("embeddings").as_ref().and_then(Value::as_array) {
            reading.note(format!("the answer holds {} vectors", list.len()));
        } else if line.take_value("embedding").is_some() {
            reading.note("the answer holds 1 vector");
        }
        // The context is the whole conversation in token numbers.
        for key in ["context", "created_at", "done", "prompt_eval_count", "eval_count", "error"] {
            line.remove(key);
        }
        self.extra.extend(left(line));
        step
    }

    fn kept(&self) -> usize {
        kept(self)
    }

    fn finish(&mut self, reading: &mut Reading) {
        reading.answer.extra = std::mem::take(&mut self.extra);
        if self.answers {
            reading.answer.choices.push(std::mem::take(&mut self.choice));
        }
    }
}

impl OllamaFold {
    fn add(&mut self, part: Part) {
        let parts = &mut self.choice.parts;
        let same = parts.iter_mut().take(NEAR).find_map(|have| match (have, &part) {
            (Part::Text(have), Part::Text(more)) => Some((&mut have.text, more.text.as_str())),
            (Part::Reasoning(Reasoning { text, .. }), Part::Reasoning(more)) => {
                Some((text, more.text.as_str()))
            }
            _ => None,
        });
        match same {
            Some((have, more)) => have.push_str(more),
            None => parts.push(part),
        }
    }
}
