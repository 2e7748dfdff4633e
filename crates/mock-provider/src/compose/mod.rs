//! What a model would say: made from the request alone, the same every time.

mod corpus;
mod language;
mod prompt;
mod reply;
mod schema;
mod tokens;

pub(crate) use language::Language;
pub(crate) use prompt::{Prompt, Tool, ToolChoice};
pub(crate) use reply::{Reply, ToolCall, Usage, pieces};
pub(crate) use tokens::tokens;
