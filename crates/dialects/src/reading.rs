//! What a reading says: the conversation, the answer, and what is known about both.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Map, Value};
use verbatim_core::model::{Dialect, Usage};

/// What was read from the bytes of one exchange. Everything is optional: bytes may be missing, cut or garbage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    /// The wire language it was read as.
    pub dialect: Dialect,
    /// Model that was asked for.
    pub model_asked: Option<String>,
    /// Model that the answer names.
    pub model_served: Option<String>,
    /// Whether the request asked for a stream.
    pub stream_asked: bool,
    /// Whether the answer came as a stream (SSE, NDJSON, a streamed JSON array, an AWS event stream, a tunnel).
    pub streamed: bool,
    /// Everything else that the request set: what is not messages, tools or model.
    pub parameters: Map<String, Value>,
    /// Tools that the model was offered.
    pub tools: Vec<ToolDefinition>,
    /// The conversation as it was sent, system prompt first where it stands apart.
    pub messages: Vec<Message>,
    /// What was answered, folded.
    pub answer: Answer,
    /// Tokens as the provider counted them; figures that it did not tell are `None`.
    pub usage: Option<Usage>,
    /// The provider's own id of the call: from its headers, else from the body.
    pub provider_request_id: Option<String>,
    /// The error that the provider answered with, also inside a stream whose status was 200.
    pub error: Option<ProviderError>,
    /// Whether the answer reached its dialect's terminal event (or, unstreamed, is whole), without an error.
    pub ended_well: bool,
    /// Where in the response's body *on the wire* the frame with the first token is complete: the offset of its
    /// payload's last byte, to look up its time. `None` where there is no token, no stream, or where it can't be
    /// told.
    pub first_token_offset: Option<u64>,
    /// What a reader should know: what was odd, cut or could not be read.
    pub notes: Vec<String>,
    /// Bytes of the messages' texts that [`skim`](crate::skim) did not keep.
    #[serde(skip)]
    pub left_out: u64,
}

impl Reading {
    /// A reading of nothing.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            model_asked: None,
            model_served: None,
            stream_asked: false,
            streamed: false,
            parameters: Map::new(),
            tools: Vec::new(),
            messages: Vec::new(),
            answer: Answer::default(),
            usage: None,
            provider_request_id: None,
            error: None,
            ended_well: false,
            first_token_offset: None,
            notes: Vec::new(),
            left_out: 0,
        }
    }

    /// Why the model stopped, as the provider says it: of the first choice that says so.
    pub fn finish_reason(&self) -> Option<&str> {
        self.answer.choices.iter().find_map(|choice| choice.finish_reason.as_deref())
    }

    /// Names of the tools that the model called, in order, each once.
    pub fn tools_called(&self) -> Vec<String> {
        let mut told = HashSet::new();
        let parts = self.answer.choices.iter().flat_map(|choice| &choice.parts);
        let names = parts.filter_map(|part| match part {
            Part::ToolCall(call) if told.insert(call.name.as_str()) => Some(call.name.clone()),
            _ => None,
        });
        names.collect()
    }

    /// Adds a note, once; what is odd in more than [`MOST_NOTES`] ways is odd enough.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if self.notes.len() < MOST_NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// Notes of one reading.
const MOST_NOTES: usize = 100;

/// What was answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Answer {
    /// The alternatives, by index. Most calls have one.
    pub choices: Vec<Choice>,
    /// What the answer says beside its choices and usage (citations, service tier, filter results, counts).
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// One alternative of an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Choice {
    /// Its index.
    pub index: u64,
    /// Its content in order.
    pub parts: Vec<Part>,
    /// Why the model stopped, as the provider says it.
    pub finish_reason: Option<String>,
    /// Log probabilities as the provider sent them; streamed ones are joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Value>,
    /// Keys that are not known, as they are; streamed ones are joined.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The speaker's name, where one is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its content in order.
    pub parts: Vec<Part>,
}

impl Message {
    /// A message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self::new(role, vec![Part::text(text)])
    }

    /// A message without a name.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, name: None, parts }
    }
}

/// Who speaks. Dialects' own words are mapped: Gemini's `model` is the assistant, `function` is a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The system prompt.
    System,
    /// Instructions of the application's developer.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// The result of a tool.
    Tool,
    /// A role that no dialect here knows, as it was sent.
    #[serde(untagged)]
    Other(String),
}

impl Role {
    /// From a dialect's word.
    pub fn from_word(word: &str) -> Self {
        match word {
            "system" => Self::System,
            "developer" => Self::Developer,
            "user" | "human" => Self::User,
            "assistant" | "model" => Self::Assistant,
            "tool" | "function" => Self::Tool,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Other(word) => word,
        }
    }
}

/// A piece of content. Serialised with its kind as `type`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Text.
    Text(Text),
    /// The model's reasoning, or a summary of it.
    Reasoning(Reasoning),
    /// The model declines.
    Refusal {
        /// What it says.
        text: String,
    },
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// What a tool gave back.
    ToolResult(ToolResult),
    /// An image.
    Image(Media),
    /// Sound.
    Audio(Audio),
    /// A film.
    Video(Media),
    /// A document.
    File(Media),
    /// A kind of block that is not known here, as it is.
    Other {
        /// The block.
        value: Value,
    },
}

impl Part {
    /// A text without citations.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Text { text: text.into(), ..Text::default() })
    }

    /// Reasoning without a signature.
    pub fn reasoning(text: impl Into<String>) -> Self {
        Self::Reasoning(Reasoning { text: text.into(), ..Reasoning::default() })
    }
}

/// Text and what it cites.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Text {
    /// The text.
    pub text: String,
    /// What it cites, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub citations: Vec<Citation>,
    /// A signature of the reasoning behind it (Gemini), to be sent back verbatim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// A source that an answer names.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Citation {
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its title, or the file's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The words that are cited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// The citation as the provider sent it.
    pub value: Value,
}

/// Reasoning.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Reasoning {
    /// Its text; empty where the provider keeps it to itself.
    pub text: String,
    /// The provider's signature of it, to be sent back verbatim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Reasoning that only the provider can read, to be sent back verbatim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<String>,
}

/// A call of a tool.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ToolCall {
    /// The call's id, where the dialect has one.
    pub id: Option<String>,
    /// The tool's name; for a provider's own tool without a name, its kind.
    pub name: String,
    /// Its arguments as JSON text. A model may write broken JSON: it is kept as it came.
    pub arguments: String,
    /// Whether the provider ran it itself (web search, code execution, ...).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_provider: bool,
    /// A signature of the reasoning behind it (Gemini), to be sent back verbatim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// The result of a tool.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ToolResult {
    /// The call that it answers.
    pub call_id: Option<String>,
    /// The tool's name, where the dialect repeats it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its content.
    pub parts: Vec<Part>,
    /// Whether the tool failed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
}

/// An image, film or document: where it is or what it holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Media {
    /// Its media type, such as `image/png`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its bytes in base64, as they were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The id under which the provider stores it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Sound and what is said in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Audio {
    /// The sound itself.
    #[serde(flatten)]
    pub media: Media,
    /// The provider's id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What is said in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    /// When the provider forgets it, in seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
}

/// A tool that the model was offered.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ToolDefinition {
    /// Its name; for a provider's own tool without a name, its kind.
    pub name: String,
    /// What it is said to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The schema of its arguments, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// What else its definition says, as it was sent.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// An error as a provider tells it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ProviderError {
    /// Its kind: `type`, or Gemini's `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its code; a number is written out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The parameter it complains of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// What it says; never empty.
    pub message: String,
    /// Details as they were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl ProviderError {
    /// The error in a line: kind or code, and message.
    pub fn line(&self) -> String {
        match self.kind.as_deref().or(self.code.as_deref()) {
            Some(word) if !self.message.contains(word) => format!("{word}: {}", self.message),
            _ => self.message.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
