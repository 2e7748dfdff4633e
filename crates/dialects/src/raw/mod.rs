//! Languages that are recorded without being a dialect of ours: Bedrock, Cohere, watsonx, whatever comes.
//!
//! What they have in common with others is read as those are; of the rest, the fields that say plainly what they are.
//! Reading nothing is no fault here.

mod stream;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;
use verbatim_core::model::Usage;

use crate::counting::{self, known};
use crate::json::{Object, ObjectExt, entries};
use crate::language::{Fold, Language, objects};
use crate::openai_chat::content::{self, left};
use crate::openai_chat::{answer, request, tools};
use crate::read::take_head;
use crate::reading::{Choice, Message, Part, Reading, Reasoning, Role, Text, ToolCall, ToolResult};
use crate::{anthropic, gemini};

/// Anything.
pub(crate) struct Raw {
    streams: bool,
}

impl Raw {
    pub(crate) fn at(path: &[Cow<'_, str>]) -> Self {
        let last = path.last().map(AsRef::as_ref).unwrap_or_default();
        Self { streams: last == "converse-stream" || last == "invoke-with-response-stream" }
    }
}

impl Language for Raw {
    fn request(&self, mut body: Object, reading: &mut Reading) {
        if body.contains_key("anthropic_version") {
            anthropic::Anthropic.request(body, reading);
            reading.stream_asked |= self.streams;
            return;
        }
        reading.model_asked = ["model", "model_id", "modelId"].iter().find_map(|key| body.take_string(key));
        reading.stream_asked = self.streams || body.flag("stream");
        body.remove("stream");
        let system = ["system", "preamble"].iter().find_map(|key| body.take_value(key));
        if let Some(system) = system {
            reading.messages.push(Message::new(Role::System, content::parts(system)));
        }
        for message in entries(body.take_list("messages")) {
            reading.messages.push(match message {
                Value::Object(mut message) if is_converse(&message) => {
                    let role = Role::from_word(&message.take_string("role").unwrap_or_default());
                    Message::new(role, converse_parts(message.take_list("content")))
                }
                message => request::message(message),
            });
        }
        let asked = ["prompt", "message", "query", "inputText", "input"].iter().find_map(|key| {
            body.take_string(key).or_else(|| body.get_mut(*key)?.as_object_mut()?.take_string("text"))
        });
        for (key, role) in [("texts", Role::User), ("documents", Role::Other("document".into()))] {
            let list = body.take_list(key);
            let texts: Vec<Part> = list.iter().filter_map(|text| text.as_str().map(Part::text)).collect();
            if !texts.is_empty() {
                reading.messages.push(Message::new(role, texts));
            }
        }
        if let Some(text) = asked {
            reading.messages.push(Message::text(Role::User, text));
        }
        reading.tools = tools::definitions(body.take_list("tools"));
        reading.parameters = left(body);
    }

    fn document(&self, body: Object, reading: &mut Reading) {
        read_document(body, reading);
    }

    fn tells_end(&self) -> bool {
        false
    }

    fn fold(&self) -> Box<dyn Fold> {
        Box::new(stream::RawFold::default())
    }
}

/// Reads a document by what it looks like.
fn read_document(mut body: Object, reading: &mut Reading) {
    if body.contains_key("choices") {
        return answer::read(body, reading);
    }
    if body.contains_key("candidates") {
        return gemini::Gemini::at(&[]).document(body, reading);
    }
    if body.text("type") == Some("message") || body.contains_key("completion") {
        return anthropic::read_message(body, reading);
    }
    take_head(&mut body, reading);
    if let Some(model) = body.take_string("model_id") {
        reading.model_served = Some(model);
    }
    reading.usage = usage(&body);
    let mut parts = Vec::new();
    // Bedrock's converse.
    if let Some(mut message) = body.take_object("output").and_then(|mut output| output.take_object("message"))
    {
        parts = converse_parts(message.take_list("content"));
    }
    // Cohere's chat.
    if let Some(mut message) = body.take_object("message") {
        parts = answer::parts(&mut message);
    }
    for mut result in
        ["results", "generations"].iter().flat_map(|key| objects(body.take_list(key))).collect::<Vec<_>>()
    {
        let text = ["generated_text", "outputText", "text"].iter().find_map(|key| result.take_string(key));
        parts.extend(text.map(Part::text));
    }
    let said =
        ["text", "generation", "generated_text", "output"].iter().find_map(|key| body.take_string(key));
    parts.extend(said.map(Part::text));
    let finish_reason =
        ["stopReason", "finish_reason", "stop_reason"].iter().find_map(|key| body.take_word(key));
    if !parts.is_empty() || finish_reason.is_some() {
        reading.answer.choices.push(Choice { parts, finish_reason, ..Choice::default() });
    }
}

/// Usage in Bedrock's, Cohere's or OpenAI's words.
fn usage(body: &Object) -> Option<Usage> {
    let told = body.object("usage").or_else(|| body.object("meta"))?;
    let tokens = told.object("tokens").or_else(|| told.object("billed_units")).unwrap_or(told);
    let first = |keys: [&str; 2]| keys.iter().find_map(|key| tokens.count(key));
    let (read, written) = (tokens.count("cacheReadInputTokens"), tokens.count("cacheWriteInputTokens"));
    let Some(input) = tokens.count("inputTokens") else { return counting::openai(tokens) };
    known(Usage {
        // Like Anthropic's, Bedrock's input leaves out what the cache held.
        input_tokens: Some([read, written].into_iter().flatten().fold(input, u64::saturating_add)),
        output_tokens: first(["outputTokens", "output_tokens"]),
        total_tokens: first(["totalTokens", "total_tokens"]),
        cache_read_tokens: read,
        cache_write_tokens: written,
        ..Usage::default()
    })
}

/// Whether a message's content is in Bedrock's manner: objects that name their kind by their only key.
fn is_converse(message: &Object) -> bool {
    message.get("content").and_then(Value::as_array).is_some_and(|list| {
        !list.is_empty() && list.iter().all(|part| part.is_object() && part.get("type").is_none())
    })
}

fn converse_parts(list: Vec<Value>) -> Vec<Part> {
    objects(list).map(converse_part).collect()
}

fn converse_part(mut part: Object) -> Part {
    if let Some(text) = part.take_string("text") {
        return Part::text(text);
    }
    if let Some(mut cited) = part.take_object("citationsContent") {
        let pieces = objects(cited.take_list("content"));
        let text: String = pieces.filter_map(|mut piece| piece.take_string("text")).collect();
        let citations = content::citations(cited.take_list("citations"));
        return Part::Text(Text { text, citations, signature: None });
    }
    if let Some(mut call) = part.take_object("toolUse") {
        return Part::ToolCall(ToolCall {
            id: call.take_string("toolUseId"),
            name: call.take_string("name").unwrap_or_default(),
            arguments: call.take_value("input").map(content::arguments).unwrap_or_default(),
            ..ToolCall::default()
        });
    }
    if let Some(mut reasoning) = part.take_object("reasoningContent") {
        let mut reasoning = reasoning.take_object("reasoningText").unwrap_or(reasoning);
        return Part::Reasoning(Reasoning {
            text: reasoning.take_string("text").unwrap_or_default(),
            signature: reasoning.take_string("signature"),
            encrypted: reasoning.take_string("redactedContent"),
        });
    }
    if let Some(mut result) = part.take_object("toolResult") {
        return Part::ToolResult(ToolResult {
            call_id: result.take_string("toolUseId"),
            name: None,
            parts: converse_parts(result.take_list("content")),
            is_error: result.text("status") == Some("error"),
        });
    }
    Part::Other { value: Value::Object(part) }
}
