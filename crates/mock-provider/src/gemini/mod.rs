//! Gemini's endpoints (ai.google.dev, API reference).

mod embed;
mod generate;
mod models;
mod request;
mod stream;

use http::StatusCode;

pub(crate) use models::models;

use crate::answer::Answer;
use crate::call::Call;
use crate::errors::error;
use crate::route::Dialect;

/// Answers `models/{model}:{method}`.
pub(crate) fn call(model: &str, method: &str, call: &Call<'_>) -> Answer {
    let Ok(body) = call.body.json() else {
        let message = "Invalid JSON payload received. Unknown name.";
        return error(Dialect::Gemini, StatusCode::BAD_REQUEST, message, call);
    };
    let answered = match method {
        "generateContent" => generate::generate(model, &body, call),
        "streamGenerateContent" => stream::stream(model, &body, call),
        "countTokens" => generate::count_tokens(&body),
        "embedContent" => embed::embed_content(&body),
        "batchEmbedContents" => embed::batch_embed_contents(&body),
        _ => {
            let message = format!("Method {method} is not known for models/{model}.");
            return error(Dialect::Gemini, StatusCode::NOT_FOUND, &message, call);
        }
    };
    let answer =
        answered.unwrap_or_else(|message| error(Dialect::Gemini, StatusCode::BAD_REQUEST, &message, call));
    answer.with_header("server-timing", "gfet4t7; dur=5").with_header("vary", "Origin, X-Origin, Referer")
}
