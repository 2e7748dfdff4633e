//! Anthropic's endpoints (docs.anthropic.com, API reference).

mod messages;
mod models;
mod request;
mod stream;

pub(crate) use messages::{count_tokens, messages};
pub(crate) use models::models;
