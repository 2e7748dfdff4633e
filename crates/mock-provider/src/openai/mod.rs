//! OpenAI's endpoints (platform.openai.com, API reference).

mod chat;
mod chat_request;
mod chat_stream;
mod completions;
mod embeddings;
mod files;
mod images;
mod models;
mod moderations;
mod responses;
mod responses_request;
mod responses_stream;
mod speech;
mod transcriptions;

pub(crate) use chat::chat;
pub(crate) use completions::completions;
pub(crate) use embeddings::embeddings;
pub(crate) use files::files;
pub(crate) use images::images;
pub(crate) use models::models;
pub(crate) use moderations::moderations;
pub(crate) use responses::responses;
pub(crate) use speech::speech;
pub(crate) use transcriptions::transcriptions;

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use verbatim_core::model::Timestamp;

use crate::answer::Answer;
use crate::call::Call;
use crate::errors::error;
use crate::random::Draw;
use crate::route::Dialect;

const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

/// A moment that belongs to a seed, in seconds since the Unix epoch: some time in 2025.
pub(crate) fn created(seed: u64) -> u64 {
    1_735_689_600 + seed % 31_536_000
}

/// The same moment.
pub(crate) fn created_at(seed: u64) -> Timestamp {
    Timestamp::from_unix_us(0).plus(Duration::from_secs(created(seed)))
}

/// An id such as `chatcmpl-...`, the same for the same seed.
fn id(prefix: &str, seed: u64) -> String {
    format!("{prefix}{}", Draw::new(!seed).letters(29))
}

/// Answers a JSON request with what `answer` makes of it, or with the error that it returns.
fn answer_json(call: &Call<'_>, answer: impl FnOnce(&Value) -> Result<Answer, String>) -> Answer {
    let answered = match call.body.json() {
        Ok(body) if body.is_object() => answer(&body),
        _ => Err("We could not parse the JSON body of your request.".to_owned()),
    };
    let answer =
        answered.unwrap_or_else(|message| error(Dialect::OpenAi, StatusCode::BAD_REQUEST, &message, call));
    answer
        .with_header("x-request-id", &format!("req_{}", call.id))
        .with_header("openai-version", "2020-10-01")
        .with_header("openai-processing-ms", "5")
}

/// The model a request names.
fn model(body: &Value) -> Result<&str, String> {
    body["model"].as_str().ok_or_else(|| "you must provide a model parameter".to_owned())
}
