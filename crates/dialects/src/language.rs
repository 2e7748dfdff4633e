//! What a dialect must be able to do to be read.

use std::borrow::Cow;

use serde_json::Value;
use verbatim_core::model::Dialect;

use crate::json::Object;
use crate::reading::Reading;
use crate::{anthropic, gemini, ollama, openai_chat, openai_other, openai_responses, raw};

/// How the bodies of one dialect's calls are understood. What is not as expected is passed over, never refused.
pub(crate) trait Language {
    /// Reads the request's body.
    fn request(&self, body: Object, reading: &mut Reading);

    /// Reads an answer that came as one document. Errors were read before.
    fn document(&self, body: Object, reading: &mut Reading);

    /// Reads an answer's document from its bytes where that is cheaper; whether it did.
    fn document_bytes(&self, _bytes: &[u8], _reading: &mut Reading) -> bool {
        false
    }

    /// Reads an answer that is plain text.
    fn text(&self, _text: &str, _reading: &mut Reading) {}

    /// Reads an answer that is neither text nor JSON.
    fn binary(&self, media_type: Option<&str>, bytes: &[u8], reading: &mut Reading) {
        reading.note(format!(
            "the answer is {} bytes of {}",
            bytes.len(),
            media_type.unwrap_or("an unknown kind")
        ));
    }

    /// Whether a JSON array is a stream of its elements.
    fn streams_arrays(&self) -> bool {
        false
    }

    /// Whether lines of JSON are a stream of frames, rather than a file.
    fn streams_lines(&self) -> bool {
        true
    }

    /// Whether a stream's end is told by its frames; if not, it ends where its bytes end.
    fn tells_end(&self) -> bool {
        true
    }

    /// Starts to fold a streamed answer.
    fn fold(&self) -> Box<dyn Fold>;
}

/// Folds the frames of a streamed answer.
pub(crate) trait Fold {
    /// Takes the next frame from its bytes, where it is of a form that can be read cheaply and holds no error.
    fn frame_bytes(&mut self, _bytes: &[u8], _reading: &mut Reading) -> Option<Step> {
        None
    }

    /// Takes the next frame. Errors were read before.
    fn frame(&mut self, name: Option<&str>, frame: Object, reading: &mut Reading) -> Step;

    /// What it holds of the frames so far, as [`crate::json::kept`] counts it.
    fn kept(&self) -> usize;

    /// Writes what was folded.
    fn finish(&mut self, reading: &mut Reading);
}

/// What a frame brought.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Step {
    /// A piece of the answer: text, reasoning, a call, a sound.
    pub(crate) token: bool,
    /// The end, as the dialect tells it.
    pub(crate) terminal: bool,
    /// Usage that will not grow any more.
    pub(crate) usage_is_final: bool,
}

impl Step {
    pub(crate) const NOTHING: Self = Self { token: false, terminal: false, usage_is_final: false };
    pub(crate) const TOKEN: Self = Self { token: true, ..Self::NOTHING };
    pub(crate) const END: Self = Self { terminal: true, usage_is_final: true, ..Self::NOTHING };

    /// Both at once.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            token: self.token | other.token,
            terminal: self.terminal | other.terminal,
            usage_is_final: self.usage_is_final | other.usage_is_final,
        }
    }
}

/// The language of a dialect at a path.
pub(crate) fn of(dialect: Dialect, path: &[Cow<'_, str>]) -> Box<dyn Language> {
    match dialect {
        Dialect::Raw => Box::new(raw::Raw::at(path)),
        Dialect::OpenaiChat => Box::new(openai_chat::Chat),
        Dialect::OpenaiResponses => Box::new(openai_responses::Responses),
        Dialect::OpenaiOther => Box::new(openai_other::Other::at(path)),
        Dialect::Anthropic => Box::new(anthropic::Anthropic),
        Dialect::Gemini => Box::new(gemini::Gemini::at(path)),
        Dialect::Ollama => Box::new(ollama::Ollama::at(path)),
    }
}

/// The entries of a list that are objects.
pub(crate) fn objects(list: Vec<Value>) -> impl Iterator<Item = Object> {
    list.into_iter().filter_map(|value| match value {
        Value::Object(object) => Some(object),
        _ => None,
    })
}
