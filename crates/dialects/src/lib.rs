//! Reads what the bytes of an exchange say: the conversation, the answer, its usage and its error, in whichever
//! wire language ("dialect") they are written.
//!
//! [`detect`] tells the dialect of a call, [`read`] folds its bytes into a [`Reading`], [`text`] takes from a
//! reading what is searched and previewed, [`estimate`] counts tokens that the provider did not.
//!
//! Pure: it knows no I/O, no clock, and nothing of how the bytes came here or where the reading goes. Reading is
//! total: whatever the bytes, there is a reading and no panic.

mod anthropic;
mod counting;
pub mod decode;
mod detect;
mod errors;
pub mod estimate;
pub mod frames;
mod gemini;
#[cfg(test)]
mod golden;
mod json;
mod language;
mod multipart;
mod ollama;
mod openai_chat;
mod openai_other;
mod openai_responses;
mod raw;
mod read;
mod reading;
mod stream;
pub mod text;
mod view;

pub use detect::detect;
pub use read::read;
pub use reading::{
    Answer, Audio, Choice, Citation, Media, Message, Part, ProviderError, Reading, Reasoning, Role, Text,
    ToolCall, ToolDefinition, ToolResult,
};
pub use view::ExchangeView;
