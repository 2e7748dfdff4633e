//! OpenAI's endpoints (platform.openai.com, API reference).

mod chat;
mod chat_request;
mod chat_stream;

pub(crate) use chat::chat;

use crate::random::Draw;

/// A moment that belongs to a seed, in seconds since the Unix epoch: some time in 2025.
fn created(seed: u64) -> u64 {
    1_735_689_600 + seed % 31_536_000
}

/// An id such as `chatcmpl-...`, the same for the same seed.
fn id(prefix: &str, seed: u64) -> String {
    format!("{prefix}{}", Draw::new(!seed).letters(29))
}
