//! What a model would say: made from the request alone, the same every time.

mod corpus;
mod language;
mod prompt;
mod reply;
mod schema;
mod tokens;

pub(crate) use prompt::{Prompt, ToolChoice};
pub(crate) use reply::{Reply, Usage, pieces};
pub(crate) use tokens::tokens;
