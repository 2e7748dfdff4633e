//! Errors in the shape of the dialect that was spoken.

use http::StatusCode;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::call::Call;
use crate::random::Draw;
use crate::route::Dialect;

/// An error as a provider of this dialect answers it.
pub(crate) fn error(dialect: Dialect, status: StatusCode, message: &str, call: &Call<'_>) -> Answer {
    Answer::value(&body(dialect, status, message, call)).with_status(status)
}

/// The error's JSON.
pub(crate) fn body(dialect: Dialect, status: StatusCode, message: &str, call: &Call<'_>) -> Value {
    match dialect {
        Dialect::OpenAi => json!({"error": {
            "message": message, "type": openai_type(status), "param": null, "code": openai_code(status),
        }}),
        Dialect::Anthropic => json!({
            "type": "error",
            "error": {"type": anthropic_type(status), "message": message},
            "request_id": format!("req_{}", Draw::new(call.seed).letters(24)),
        }),
        Dialect::Gemini => json!({"error": {
            "code": status.as_u16(), "message": message, "status": gemini_status(status),
        }}),
        Dialect::Ollama => json!({"error": message}),
    }
}

/// What a provider says with a status when nothing more is known.
pub(crate) fn usual_message(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "We could not parse the JSON body of your request.",
        401 => "Incorrect API key provided. You can find your API key in your account's settings.",
        403 => "You do not have access to this resource.",
        404 => "The model does not exist or you do not have access to it.",
        408 => "The request took too long.",
        413 => "The request is too large.",
        422 => "The request could not be processed.",
        429 => "Rate limit reached for requests. Please try again later.",
        529 => "Overloaded",
        500..=599 => "The server had an error while processing your request. Sorry about that!",
        _ => "The request failed.",
    }
}

fn openai_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        429 => "requests",
        500..=599 => "server_error",
        _ => "invalid_request_error",
    }
}

fn openai_code(status: StatusCode) -> Value {
    match status.as_u16() {
        401 => "invalid_api_key".into(),
        404 => "model_not_found".into(),
        429 => "rate_limit_exceeded".into(),
        _ => Value::Null,
    }
}

/// As Anthropic's documentation pairs them (API errors).
fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500..=599 => "api_error",
        _ => "invalid_request_error",
    }
}

/// As google.rpc.Code maps to HTTP.
fn gemini_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500..=599 => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}
