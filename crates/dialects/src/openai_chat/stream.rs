//! Folding the chunks of a streamed chat completion.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;

use super::answer::{self, told_logprobs};
use super::content::{arguments, left};
use super::plain::{PlainChunk, Text};
use super::{content, tools};
use crate::json::{NEAR, Object, ObjectExt, join, join_object, kept};
use crate::language::{Fold, Step, objects};
use crate::read::take_head;
use crate::reading::{Choice, Part, Reading, Reasoning, ToolCall};

/// Folds chunks.
#[derive(Default, Serialize)]
pub(crate) struct ChatFold {
    choices: BTreeMap<u64, ChoiceFold>,
    extra: Object,
    /// How often in a row a chunk was not plain.
    not_plain: u32,
}

/// Some providers' chunks are never plain: after so many there is no use in trying.
const ENOUGH_TRIES: u32 = 8;

/// Providers take 128 at most.
const MOST_CHOICES: usize = 1024;

impl Fold for ChatFold {
    fn frame_bytes(&mut self, bytes: &[u8], reading: &mut Reading) -> Option<Step> {
        if self.not_plain >= ENOUGH_TRIES {
            return None;
        }
        match PlainChunk::read(bytes) {
            Some(chunk) => {
                self.not_plain = 0;
                Some(self.plain(chunk, reading))
            }
            None => {
                self.not_plain += 1;
                None
            }
        }
    }

    fn frame(&mut self, _name: Option<&str>, mut chunk: Object, reading: &mut Reading) -> Step {
        take_head(&mut chunk, reading);
        let told_usage = answer::take_usage(&mut chunk, reading);
        let choices = chunk.take_list("choices");
        // A chunk for usage alone comes after the last choice has ended, also where nothing says that it has. (Azure's
        // first chunk has no choice either, but no usage.)
        let mut step = if told_usage && choices.is_empty() && !self.choices.is_empty() {
            Step::END
        } else {
            Step::NOTHING
        };
        for choice in objects(choices) {
            step = step.and(self.choice(choice, reading));
        }
        for key in ["object", "created", "error", "obfuscation"] {
            chunk.remove(key);
        }
        self.extra.extend(left(chunk));
        step
    }

    fn kept(&self) -> usize {
        kept(self)
    }

    fn finish(&mut self, reading: &mut Reading) {
        let choices = std::mem::take(&mut self.choices).into_iter();
        reading.answer.choices = choices.map(|(index, choice)| choice.finish(index)).collect();
        reading.answer.extra = std::mem::take(&mut self.extra);
    }
}

impl ChatFold {
    fn plain(&mut self, chunk: PlainChunk<'_>, reading: &mut Reading) -> Step {
        if let Some(model) = &chunk.model {
            model.write(&mut reading.model_served);
        }
        if reading.provider_request_id.is_none()
            && let Some(id) = &chunk.id
        {
            id.write(&mut reading.provider_request_id);
        }
        for (key, told) in [
            ("service_tier", &chunk.service_tier),
            ("system_fingerprint", &chunk.system_fingerprint),
            ("provider", &chunk.provider),
        ] {
            if let Some(told) = told.as_ref().filter(|told| !told.0.is_empty())
                && self.extra.get(key).and_then(Value::as_str) != Some(&*told.0)
            {
                self.extra.insert(key.into(), Value::String(told.0.clone().into_owned()));
            }
        }
        let (choice,) = chunk.choices;
        let Some(fold) = self.choice_at(choice.index) else { return Step::NOTHING };
        let told =
            |text: Option<Text<'_>>| text.map(|text| text.0.into_owned()).filter(|text| !text.is_empty());
        let reasoning = told(choice.delta.reasoning_content);
        let content = choice.delta.content.as_ref().map(|text| &*text.0).filter(|text| !text.is_empty());
        let step = Step { token: reasoning.is_some() || content.is_some(), ..Step::NOTHING };
        if let Some(reasoning) = reasoning {
            fold.add_reasoning(Reasoning { text: reasoning, ..Reasoning::default() });
        }
        if let Some(content) = content {
            fold.add_text(content);
        }
        step
    }

    /// The choice of an index; `None` for one more than anybody can ask for.
    fn choice_at(&mut self, index: u64) -> Option<&mut ChoiceFold> {
        if self.choices.len() >= MOST_CHOICES && !self.choices.contains_key(&index) {
            return None;
        }
        Some(self.choices.entry(index).or_default())
    }

    fn choice(&mut self, mut choice: Object, reading: &mut Reading) -> Step {
        answer::take_choice_error(&mut choice, reading);
        let index = choice.count("index").unwrap_or(0);
        choice.remove("index");
        let Some(fold) = self.choice_at(index) else { return Step::NOTHING };
        let mut step = Step::NOTHING;
        if let Some(reason) = choice.take_word("finish_reason") {
            fold.finish_reason = Some(reason);
            step = Step::END;
        }
        if let Some(logprobs) = choice.take_value("logprobs") {
            join(&mut fold.logprobs, logprobs);
        }
        // Some send the message so far beside the delta.
        let message = choice.remove("message");
        step.token = match (choice.take_object("delta"), message) {
            (Some(delta), _) => fold.delta(delta),
            (None, Some(Value::Object(message))) => fold.delta(message),
            _ => false,
        };
        if let Some(text) = choice.take_string("text").filter(|text| !text.is_empty()) {
            fold.add_text(&text);
            step.token = true;
        }
        fold.extra.extend(left(choice));
        step
    }
}

/// One choice so far.
#[derive(Default, Serialize)]
struct ChoiceFold {
    parts: Vec<Part>,
    /// The calls among the parts: where, and the index that the provider gave them.
    calls: Vec<(usize, Option<u64>)>,
    details: Value,
    annotations: Vec<Value>,
    finish_reason: Option<String>,
    logprobs: Value,
    extra: Object,
}

impl ChoiceFold {
    /// Takes a delta; whether it brought a piece of the answer.
    fn delta(&mut self, mut delta: Object) -> bool {
        delta.remove("role");
        let mut token = false;
        // The details repeat what `reasoning` says, but also carry signatures.
        if let Some(details @ Value::Array(_)) = delta.take_value("reasoning_details") {
            token |= details != Value::Array(Vec::new());
            join(&mut self.details, details);
        }
        if let Some(reasoning) = answer::take_reasoning(&mut delta) {
            token |= self.add_reasoning(reasoning);
        }
        for part in content::parts(delta.remove("content").unwrap_or_default()) {
            token = true;
            match part {
                Part::Text(text) => {
                    self.add_text(&text.text);
                    self.annotations.extend(text.citations.into_iter().map(|citation| citation.value));
                }
                Part::Reasoning(reasoning) => {
                    self.add_reasoning(reasoning);
                }
                part => self.parts.push(part),
            }
        }
        if let Some(more) = delta.take_string("refusal").filter(|text| !text.is_empty()) {
            token = true;
            match self
                .parts
                .iter_mut()
                .take(NEAR)
                .find_map(|part| if let Part::Refusal { text } = part { Some(text) } else { None })
            {
                Some(text) => text.push_str(&more),
                None => self.parts.push(Part::Refusal { text: more }),
            }
        }
        for call in objects(delta.take_list("tool_calls")) {
            token |= self.call(call);
        }
        // The legacy form has one call and neither index nor id.
        if let Some(mut call) = delta.take_object("function_call") {
            call.insert("index".into(), u64::MAX.into());
            token |= self.call(call);
        }
        if let Some(audio) = delta.take_object("audio") {
            token |= self.audio(audio);
        }
        for mut image in objects(delta.take_list("images")) {
            token = true;
            self.parts.extend(content::image(&mut image).map(Part::Image));
        }
        self.annotations.extend(delta.take_list("annotations"));
        join_object(&mut self.extra, left(delta));
        token
    }

    fn add_text(&mut self, more: &str) {
        match self
            .parts
            .iter_mut()
            .take(NEAR)
            .find_map(|part| if let Part::Text(text) = part { Some(text) } else { None })
        {
            Some(text) => text.text.push_str(more),
            None => self.parts.push(Part::text(more)),
        }
    }

    fn add_reasoning(&mut self, more: Reasoning) -> bool {
        let have = self
            .parts
            .iter_mut()
            .take(NEAR)
            .find_map(|part| if let Part::Reasoning(have) = part { Some(have) } else { None });
        let token = !more.text.is_empty();
        match have {
            Some(have) => {
                have.text.push_str(&more.text);
                have.signature = more.signature.or(have.signature.take());
                have.encrypted = more.encrypted.or(have.encrypted.take());
            }
            None => self.parts.push(Part::Reasoning(more)),
        }
        token
    }

    /// Takes a piece of a call. Which call it continues is told by its index; where that is missing, or the same for
    /// all, by its id; where both are missing, it is the last one unless it names a tool again.
    fn call(&mut self, mut delta: Object) -> bool {
        let index = delta.count("index");
        let id = delta.take_string("id").filter(|id| !id.is_empty());
        let signature = tools::signature(&delta);
        let kind = delta.take_string("type");
        let mut inner = delta
            .take_object("function")
            .or_else(|| kind.as_deref().and_then(|kind| delta.take_object(kind)))
            .unwrap_or(delta);
        let name = inner.take_string("name").filter(|name| !name.is_empty());
        let more = ["arguments", "input"]
            .iter()
            .find_map(|key| inner.take_value(key))
            .map(arguments)
            .unwrap_or_default();

        let far = self.calls.len().saturating_sub(NEAR);
        let same = self.calls[far..].iter().rposition(|&(at, have)| {
            let Part::ToolCall(call) = &self.parts[at] else { return false };
            let same_id = id.is_none() || call.id.is_none() || call.id == id;
            match index {
                Some(index) => have == Some(index) && (same_id || name.is_none()),
                None => id.as_ref().map_or(name.is_none(), |id| call.id.as_ref() == Some(id)),
            }
        });
        let position = same.map(|near| far + near).unwrap_or_else(|| {
            self.parts.push(Part::ToolCall(ToolCall::default()));
            self.calls.push((self.parts.len() - 1, index));
            self.calls.len() - 1
        });
        if let Some(Part::ToolCall(call)) = self.parts.get_mut(self.calls[position].0) {
            call.id = call.id.take().or(id);
            call.signature = call.signature.take().or(signature);
            if let Some(name) = name.filter(|_| call.name.is_empty()) {
                call.name = name;
            }
            call.arguments.push_str(&more);
        }
        true
    }

    fn audio(&mut self, delta: Object) -> bool {
        let Some(more) = answer::audio(delta) else { return false };
        let have = self
            .parts
            .iter_mut()
            .take(NEAR)
            .find_map(|part| if let Part::Audio(have) = part { Some(have) } else { None });
        let token = more.media.data.is_some() || more.transcript.is_some();
        let Some(have) = have else {
            self.parts.push(Part::Audio(more));
            return token;
        };
        if let Some(data) = more.media.data {
            append_base64(have.media.data.get_or_insert_default(), &data);
        }
        if let Some(transcript) = more.transcript {
            have.transcript.get_or_insert_default().push_str(&transcript);
        }
        have.id = more.id.or(have.id.take());
        have.expires_at = more.expires_at.or(have.expires_at);
        token
    }

    fn finish(mut self, index: u64) -> Choice {
        if let Value::Array(details) = self.details.take() {
            let mut message = Object::new();
            message.insert("reasoning_details".into(), Value::Array(details));
            if let Some(told) = answer::take_reasoning(&mut message) {
                let have = self
                    .parts
                    .iter_mut()
                    .take(NEAR)
                    .find_map(|part| if let Part::Reasoning(have) = part { Some(have) } else { None });
                match have {
                    Some(have) => {
                        have.signature = told.signature.or(have.signature.take());
                        have.encrypted = told.encrypted.or(have.encrypted.take());
                    }
                    None => self.parts.insert(0, Part::Reasoning(told)),
                }
            }
        }
        answer::cite(&mut self.parts, self.annotations);
        Choice {
            index,
            parts: self.parts,
            finish_reason: self.finish_reason,
            logprobs: told_logprobs(self.logprobs),
            extra: self.extra,
        }
    }
}

/// Joins base64 of two pieces of data. Each piece is encoded for itself, so that padding may stand in the middle: it
/// is the decoded bytes that follow each other.
pub(crate) fn append_base64(have: &mut String, more: &str) {
    if have.len().is_multiple_of(4) && !have.ends_with('=') {
        have.push_str(more);
        return;
    }
    // Only the last four characters can hold padding.
    let whole = have.len().saturating_sub(4);
    let last = have.get(whole..).and_then(|last| STANDARD.decode(last).ok());
    match (last, STANDARD.decode(more)) {
        (Some(mut bytes), Ok(next)) => {
            bytes.extend(next);
            have.truncate(whole);
            STANDARD.encode_string(bytes, have);
        }
        _ => have.push_str(more),
    }
}
