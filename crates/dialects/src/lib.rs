//! Reads what the bytes of an exchange say: the conversation, the answer, its usage and its error, in whichever
//! wire language ("dialect") they are written.
//!
//! [`detect`] tells the dialect of a call, [`read`] folds its bytes into a [`Reading`], [`skim`] does so for whoever does
//! not need every word, [`text`] takes from a
//! reading what is searched and previewed, [`estimate`] counts tokens that the provider did not.
//!
//! Pure: it knows no I/O, no clock, and nothing of how the bytes came here or where the reading goes. Reading is
//! total: whatever the bytes, there is a reading and no panic. Should one come all the same, [`guarded`] keeps it from
//! harming anything but the reading of that one exchange.
#![warn(
    clippy::string_slice,
    reason = "texts are anybody's: an offset need not be at a character's boundary"
)]

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
mod guard;
#[cfg(test)]
mod hostile;
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
mod skim;
mod stream;
pub mod text;
mod view;

pub use detect::detect;
pub use guard::{Stumbled, guarded};
pub use read::read;
pub use reading::{
    Answer, Audio, Choice, Citation, Media, Message, Part, ProviderError, Reading, Reasoning, Role, Text,
    ToolCall, ToolDefinition, ToolResult,
};
pub use skim::skim;
pub use view::ExchangeView;
