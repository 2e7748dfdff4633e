//! From a route to its answer.

use http::StatusCode;

use crate::answer::{Answer, Payload};
use crate::call::Call;
use crate::errors::error;
use crate::route::{Dialect, Route};
use crate::{anthropic, gemini, ollama, openai};

/// Bytes of `/raw` where neither path nor directives say how many.
const RAW_BYTES: u64 = 1 << 20;

/// The largest text that is made in memory.
const LARGEST_TEXT: u64 = 256 << 20;

/// What an endpoint answers. What stands for the endpoints that are not answered from here is the service's
/// business: the ledger's, and those that change protocol.
pub(crate) fn answer(route: &Route, call: &Call<'_>) -> Answer {
    if let Some(size) = call.directives.size.filter(|size| *size > LARGEST_TEXT)
        && !matches!(route, Route::Raw(_))
    {
        let message =
            format!("x-mock: `size` is at most {LARGEST_TEXT} here, got {size}; /raw has no such limit");
        return error(route.dialect(), StatusCode::BAD_REQUEST, &message, call);
    }
    match route {
        Route::ChatCompletions => openai::chat(call),
        Route::Completions => openai::completions(call),
        Route::Responses => openai::responses(call),
        Route::Embeddings => openai::embeddings(call),
        Route::Moderations => openai::moderations(call),
        Route::Images => openai::images(call),
        Route::Speech => openai::speech(call),
        Route::Transcriptions => openai::transcriptions(call),
        Route::Files(dialect, id, content) => openai::files(*dialect, id.as_deref(), *content, call),
        Route::Models(Dialect::Anthropic, id) => anthropic::models(id.as_deref(), call),
        Route::Models(Dialect::Gemini, id) => gemini::models(id.as_deref(), call),
        Route::Models(_, id) => openai::models(id.as_deref(), call),
        Route::Messages => anthropic::messages(call),
        Route::CountTokens => anthropic::count_tokens(call),
        Route::Gemini { model, method } => gemini::call(model, method, call),
        Route::OllamaChat => ollama::chat(call),
        Route::OllamaGenerate => ollama::generate(call),
        Route::OllamaTags => ollama::tags(),
        Route::OllamaVersion => ollama::version(),
        Route::OllamaEmbed => ollama::embed(call),
        Route::Raw(length) => {
            let length = call.directives.size.or(*length).unwrap_or(RAW_BYTES);
            Answer::new("application/octet-stream", Payload::Random(length))
        }
        Route::Echo => {
            let answer = Answer::new("application/octet-stream", Payload::Echo);
            match call.header("content-type") {
                Some(content_type) => answer.with_header("content-type", content_type),
                None => answer,
            }
        }
        Route::Realtime => {
            error(Dialect::OpenAi, StatusCode::UPGRADE_REQUIRED, "This endpoint speaks WebSocket only.", call)
                .with_header("upgrade", "websocket")
        }
        Route::WrongMethod(dialect) => {
            let message = format!("Not allowed to {} on {}.", call.head.method, call.head.uri.path());
            error(*dialect, StatusCode::METHOD_NOT_ALLOWED, &message, call)
        }
        Route::Ledger | Route::Totals | Route::Unknown(_) => {
            let message = format!("Unknown request URL: {} {}.", call.head.method, call.head.uri.path());
            error(route.dialect(), StatusCode::NOT_FOUND, &message, call)
        }
    }
}
