//! Counting tokens where the provider did not.

use tiktoken_rs::CoreBPE;
use verbatim_core::model::{Dialect, Provenance, Usage};

use crate::reading::{Message, Part, Reading};

/// Beyond so many bytes a text is sampled.
const WHOLE: usize = 64 * 1024;
/// How long a sample is, and how many are taken, evenly over the text.
const SAMPLE: usize = 4096;
const SAMPLES: usize = 16;
/// What OpenAI counts for a message beside its words.
const PER_MESSAGE: u64 = 4;

/// An estimate of the figures that the provider did not tell, marked [`Provenance::Estimated`]; those it told stay.
/// `None` where nothing is missing, where the exchange is no generation of text, or where nothing was answered.
///
/// Words are counted as OpenAI's tokenizers do (o200k; cl100k for its older models), which other models are within
/// some 20 % of; pictures and sound are not counted. Texts beyond 64 KiB are sampled, so that the work is bounded.
/// The first call for a tokenizer loads it and keeps it.
pub fn usage(reading: &Reading) -> Option<Usage> {
    let generates = match reading.dialect {
        Dialect::OpenaiChat
        | Dialect::OpenaiResponses
        | Dialect::Anthropic
        | Dialect::Gemini
        | Dialect::Ollama => true,
        Dialect::OpenaiOther => !reading.answer.choices.is_empty(),
        Dialect::Raw => false,
    };
    let told = reading.usage.unwrap_or_default();
    // Where nothing was answered, nothing is known to have been used; a stream that broke off early has used its input.
    let unanswered = reading.answer.choices.is_empty() && (!reading.streamed || reading.error.is_some());
    if !generates || unanswered || (told.input_tokens.is_some() && told.output_tokens.is_some()) {
        return None;
    }
    let tokens = Tokens { encoder: encoder(reading) };
    let asked = || {
        let input = tokens.input(reading);
        (input > 0).then_some(input)
    };
    let answered = || {
        let said: Vec<&str> =
            reading.answer.choices.iter().flat_map(|choice| &choice.parts).flat_map(words).collect();
        (!said.is_empty()).then(|| tokens.count(&said))
    };
    let input_tokens = told.input_tokens.or_else(asked);
    let output_tokens = told.output_tokens.or_else(answered);
    if input_tokens == told.input_tokens && output_tokens == told.output_tokens {
        return None;
    }
    let usage = Usage { input_tokens, output_tokens, provenance: Some(Provenance::Estimated), ..told };
    Some(Usage { total_tokens: usage.total(), ..usage })
}

/// The tokenizer for a model.
fn encoder(reading: &Reading) -> &'static CoreBPE {
    let model = reading.model_served.as_deref().or(reading.model_asked.as_deref()).unwrap_or_default();
    let name = model.rsplit('/').next().unwrap_or(model);
    let is_old = (name.starts_with("gpt-4") && !name.starts_with("gpt-4o") && !name.starts_with("gpt-4."))
        || ["gpt-3.5", "gpt-35", "text-embedding-", "davinci-002", "babbage-002"]
            .iter()
            .any(|old| name.starts_with(old));
    if is_old { tiktoken_rs::cl100k_base_singleton() } else { tiktoken_rs::o200k_base_singleton() }
}

struct Tokens {
    encoder: &'static CoreBPE,
}

impl Tokens {
    fn input(&self, reading: &Reading) -> u64 {
        let mut said: Vec<&str> = reading.messages.iter().flat_map(message_words).collect();
        let schemas: Vec<String> =
            reading.tools.iter().filter_map(|tool| tool.schema.as_ref()).map(ToString::to_string).collect();
        for tool in &reading.tools {
            said.extend([tool.name.as_str(), tool.description.as_deref().unwrap_or_default()]);
        }
        said.extend(schemas.iter().map(String::as_str));
        if said.is_empty() {
            return 0;
        }
        let bytes: usize = said.iter().map(|text| text.len()).sum();
        let more = reading.left_out as f64 / bytes.max(1) as f64;
        let tokens = (self.count(&said) as f64 * (1.0 + more)).round() as u64;
        tokens + PER_MESSAGE * reading.messages.len() as u64
    }

    /// Counts texts; if they are long together, by samples of them.
    fn count(&self, texts: &[&str]) -> u64 {
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        if bytes <= WHOLE {
            return texts.iter().map(|text| self.count_whole(text)).sum();
        }
        let (mut sampled, mut tokens) = (0, 0);
        let stride = bytes / SAMPLES;
        // Where the next sample begins, over all texts as if they were one.
        let (mut next, mut before) = (0, 0);
        for text in texts {
            while next < before + text.len() {
                let start = text.floor_char_boundary(next.saturating_sub(before));
                let end = text.floor_char_boundary((start + SAMPLE).min(text.len()));
                let sample = text.get(start..end).unwrap_or_default();
                sampled += sample.len();
                tokens += self.count_whole(sample);
                next += stride.max(1);
            }
            before += text.len();
        }
        // Scaling up: 2^52 tokens are not met.
        (tokens as f64 * bytes as f64 / (sampled.max(1)) as f64).round() as u64
    }

    fn count_whole(&self, text: &str) -> u64 {
        // The tokenizer's work grows faster than the length of what has no gap in it.
        let mut tokens = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(SAMPLE.min(rest.len())));
            tokens += self.encoder.encode_ordinary(piece).len() as u64;
            rest = after;
        }
        tokens
    }
}

fn message_words(message: &Message) -> Vec<&str> {
    message.parts.iter().flat_map(words).collect()
}

/// What of a part is words.
fn words(part: &Part) -> Vec<&str> {
    match part {
        Part::Text(text) => vec![&text.text],
        Part::Reasoning(reasoning) => vec![&reasoning.text],
        Part::Refusal { text } => vec![text],
        Part::ToolCall(call) => vec![&call.name, &call.arguments],
        Part::ToolResult(result) => result.parts.iter().flat_map(words).collect(),
        Part::Audio(audio) => audio.transcript.as_deref().into_iter().collect(),
        Part::Image(_) | Part::Video(_) | Part::File(_) | Part::Other { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::{Choice, Role};

    fn reading(asked: &str, answered: &str) -> Reading {
        let mut reading = Reading::new(Dialect::OpenaiChat);
        reading.messages.push(Message::text(Role::User, asked));
        reading.answer.choices.push(Choice { parts: vec![Part::text(answered)], ..Choice::default() });
        reading
    }

    #[test]
    fn an_estimate_is_near_and_marked() {
        let usage =
            usage(&reading("What is the capital of France?", "The capital of France is Paris.")).unwrap();
        assert_eq!(
            (usage.input_tokens, usage.output_tokens, usage.total_tokens),
            (Some(11), Some(7), Some(18))
        );
        assert_eq!(usage.provenance, Some(Provenance::Estimated));
    }

    #[test]
    fn what_the_provider_told_is_kept() {
        let mut reading = reading("hello", "hi");
        reading.usage = Some(Usage { input_tokens: Some(99), ..Usage::default() });
        assert_eq!(usage(&reading).unwrap().input_tokens, Some(99));
        reading.usage = Some(Usage { input_tokens: Some(99), output_tokens: Some(1), ..Usage::default() });
        assert_eq!(usage(&reading), None);
    }

    #[test]
    fn what_generates_no_text_is_not_estimated() {
        let mut reading = reading("hello", "hi");
        reading.dialect = Dialect::Raw;
        assert_eq!(usage(&reading), None);
        assert_eq!(usage(&Reading::new(Dialect::OpenaiChat)), None);
    }

    #[test]
    fn an_answer_that_never_came_used_nothing_that_is_known() {
        let mut reading = reading("hello", "");
        reading.answer.choices.clear();
        assert_eq!(usage(&reading), None);
        reading.streamed = true;
        let broken_off = usage(&reading).unwrap();
        assert_eq!((broken_off.input_tokens, broken_off.output_tokens), (Some(5), None));
    }

    #[test]
    fn older_models_have_their_own_tokenizer() {
        let count = |model: &str| {
            let mut reading = reading("", "Преобразование переменного напряжения");
            reading.model_asked = Some(model.into());
            usage(&reading).unwrap().output_tokens.unwrap()
        };
        assert!(count("gpt-4-0613") > count("gpt-4o-mini") && count("gpt-4.1") == count("claude-sonnet-4-5"));
    }

    #[test]
    fn long_texts_are_sampled_and_near() {
        let text = "The quick brown fox jumps over the lazy dog; 日本語も少し。 ".repeat(20_000);
        let estimated = usage(&reading(&text, "")).unwrap().input_tokens.unwrap();
        let (sample, _) = text.split_at(text.len() / 100);
        let exact = tiktoken_rs::o200k_base_singleton().encode_ordinary(sample).len() as u64 * 100;
        assert!(estimated.abs_diff(exact) * 50 < exact, "{estimated} {exact}");
    }
}
