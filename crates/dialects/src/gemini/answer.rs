//! Gemini's answers: a stream is a row of documents that each carry the next parts.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use verbatim_core::model::Usage;

use super::parts;
use crate::counting::known;
use crate::json::{Object, ObjectExt, kept};
use crate::language::{Fold, Step, objects};
use crate::openai_chat::content::{citation, left};
use crate::reading::{Choice, Part, Reading};

/// Reads an answer that came whole.
pub(super) fn read(mut body: Object, reading: &mut Reading) {
    if let Some(embeddings) = embeddings(&body) {
        reading.note(embeddings);
        for key in ["embedding", "embeddings", "predictions"] {
            body.remove(key);
        }
    }
    if let Some(total) = body.count("totalTokens") {
        let cached = body.count("cachedContentTokenCount");
        reading.usage = known(Usage {
            input_tokens: Some(total),
            total_tokens: Some(total),
            cache_read_tokens: cached,
            ..Usage::default()
        });
    }
    let mut fold = GeminiFold::default();
    fold.frame(None, body, reading);
    fold.finish(reading);
}

/// Embeddings are counted, not shown.
fn embeddings(body: &Object) -> Option<String> {
    let list = body.get("embeddings").or_else(|| body.get("predictions")).and_then(Value::as_array);
    let count = list.map(Vec::len).or_else(|| body.contains_key("embedding").then_some(1))?;
    Some(format!("the answer holds {count} vectors or predictions"))
}

/// Folds answers.
#[derive(Default, Serialize)]
pub(super) struct GeminiFold {
    choices: BTreeMap<u64, Choice>,
    extra: Object,
}

impl Fold for GeminiFold {
    fn frame(&mut self, _name: Option<&str>, mut chunk: Object, reading: &mut Reading) -> Step {
        // Code Assist wraps every answer.
        if let Some(inner) = chunk.take_object("response") {
            chunk = inner;
        }
        if let Some(model) = chunk.take_string("modelVersion") {
            reading.model_served = Some(model);
        }
        if let Some(id) = chunk.take_string("responseId") {
            reading.provider_request_id.get_or_insert(id);
        }
        if let Some(told) = chunk.take_object("usageMetadata") {
            // The last one counts as a whole: figures may fall.
            reading.usage = usage(&told).or(reading.usage);
        }
        let mut step = Step::NOTHING;
        for (position, candidate) in objects(chunk.take_list("candidates")).enumerate() {
            step = step.and(self.candidate(candidate, position as u64));
        }
        if let Some(feedback) = chunk.object("promptFeedback")
            && let Some(reason) = feedback.get("blockReason").and_then(crate::json::word)
        {
            // A prompt that is blocked has no candidate to say so.
            if self.choices.is_empty() {
                self.choices.insert(0, Choice { finish_reason: Some(reason), ..Choice::default() });
            }
            step = step.and(Step::END);
        }
        chunk.remove("error");
        self.extra.extend(left(chunk));
        step
    }

    fn kept(&self) -> usize {
        kept(self)
    }

    fn finish(&mut self, reading: &mut Reading) {
        reading.answer.choices = std::mem::take(&mut self.choices).into_values().collect();
        reading.answer.extra = std::mem::take(&mut self.extra);
    }
}

impl GeminiFold {
    fn candidate(&mut self, mut candidate: Object, position: u64) -> Step {
        let index = candidate.count("index").unwrap_or(position);
        candidate.remove("index");
        let choice = self.choices.entry(index).or_insert_with(|| Choice { index, ..Choice::default() });
        let mut step = Step::NOTHING;
        if let Some(mut content) = candidate.take_object("content") {
            for part in parts::parts(content.take_list("parts")) {
                step.token |= !matches!(&part, Part::Text(text) if text.text.is_empty());
                add(&mut choice.parts, part);
            }
        }
        if let Some(reason) = candidate.remove("finishReason").as_ref().and_then(parts::finish_reason) {
            choice.finish_reason = Some(reason);
            step = step.and(Step::END);
        }
        if let Some(logprobs) = candidate.take_value("logprobsResult") {
            choice.logprobs = Some(logprobs);
        }
        cite(&candidate, &mut choice.parts);
        choice.extra.extend(left(candidate));
        step
    }
}

/// Adds a part; texts and thoughts that follow each other are one.
fn add(parts: &mut Vec<Part>, part: Part) {
    match (parts.last_mut(), part) {
        (Some(Part::Text(have)), Part::Text(more)) => {
            have.text.push_str(&more.text);
            have.signature = more.signature.or(have.signature.take());
        }
        (Some(Part::Reasoning(have)), Part::Reasoning(more)) => {
            have.text.push_str(&more.text);
            have.signature = more.signature.or(have.signature.take());
        }
        // The empty text that ends a stream whose last part is a call.
        (Some(_), Part::Text(more)) if more.text.is_empty() && more.signature.is_none() => {}
        (_, part) => parts.push(part),
    }
}

/// What a candidate cites: grounding and recitation, each told again with what is new.
fn cite(candidate: &Object, parts: &mut [Part]) {
    let grounding =
        candidate.object("groundingMetadata").and_then(|grounding| grounding.get("groundingChunks"));
    let recited = candidate
        .object("citationMetadata")
        .and_then(|metadata| ["citations", "citationSources"].iter().find_map(|key| metadata.get(*key)));
    let sources: Vec<&Value> =
        [grounding, recited].into_iter().flatten().filter_map(Value::as_array).flatten().collect();
    if sources.is_empty() {
        return;
    }
    let text = parts.iter_mut().rev().find_map(|part| match part {
        Part::Text(text) => Some(text),
        _ => None,
    });
    if let Some(text) = text {
        text.citations = sources.into_iter().cloned().map(citation).collect();
    }
}

/// All input counts what tools put in; all output counts thoughts.
fn usage(told: &Object) -> Option<Usage> {
    let sum = |keys: [&str; 2]| keys.iter().filter_map(|key| told.count(key)).reduce(u64::saturating_add);
    let total = told.count("totalTokenCount");
    let input = sum(["promptTokenCount", "toolUsePromptTokenCount"]);
    // An answer without a word tells no candidates' tokens at all: what is left of the total is the output.
    let output = sum(["candidatesTokenCount", "thoughtsTokenCount"])
        .or_else(|| Some(total?.saturating_sub(input?)).filter(|_| told.contains_key("promptTokenCount")));
    known(Usage {
        input_tokens: input,
        output_tokens: output,
        total_tokens: total,
        cache_read_tokens: told.count("cachedContentTokenCount"),
        reasoning_tokens: told.count("thoughtsTokenCount"),
        ..Usage::default()
    })
}
