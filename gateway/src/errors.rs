//! What the gateway itself answers when a call can't be forwarded, in the shape the caller's SDK understands.

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use verbatim_core::model::ProviderDialect;

/// The body of an error answer (JSON) in a dialect's shape.
///
/// Shapes: OpenAI, Anthropic and Gemini as their API references document them; Ollama's `{"error": "..."}`.
pub(crate) fn error_body(dialect: ProviderDialect, status: StatusCode, message: &str) -> Bytes {
    let body = match dialect {
        ProviderDialect::Openai | ProviderDialect::Raw => json!({
            "error": {
                "message": message,
                "type": openai_type(status),
                "param": null,
                "code": openai_code(status),
            }
        }),
        ProviderDialect::Anthropic => json!({
            "type": "error",
            "error": { "type": anthropic_type(status), "message": message },
        }),
        ProviderDialect::Gemini => json!({
            "error": { "code": status.as_u16(), "message": message, "status": gemini_status(status) },
        }),
        ProviderDialect::Ollama => json!({ "error": message }),
    };
    Bytes::from(body.to_string())
}

fn openai_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => "authentication_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    }
}

fn openai_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => "invalid_api_key",
        404 => "not_found",
        413 | 431 => "request_too_large",
        400..500 => "invalid_request",
        502 => "bad_gateway",
        503 => "service_unavailable",
        504 => "gateway_timeout",
        _ => "server_error",
    }
}

fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 | 431 => "request_too_large",
        400..500 => "invalid_request_error",
        503 => "overloaded_error",
        504 => "timeout_error",
        _ => "api_error",
    }
}

fn gemini_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        400..500 => "INVALID_ARGUMENT",
        502 | 503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn body(dialect: ProviderDialect, status: StatusCode) -> Value {
        serde_json::from_slice(&error_body(dialect, status, "no \"such\" thing")).unwrap()
    }

    #[test]
    fn each_dialect_has_its_shape() {
        let openai = body(ProviderDialect::Openai, StatusCode::BAD_GATEWAY);
        assert_eq!(openai["error"]["message"], "no \"such\" thing");
        assert_eq!(openai["error"]["type"], "server_error");
        let anthropic = body(ProviderDialect::Anthropic, StatusCode::NOT_FOUND);
        assert_eq!(anthropic["type"], "error");
        assert_eq!(anthropic["error"]["type"], "not_found_error");
        let gemini = body(ProviderDialect::Gemini, StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(gemini["error"]["code"], 504);
        assert_eq!(gemini["error"]["status"], "DEADLINE_EXCEEDED");
        assert_eq!(body(ProviderDialect::Ollama, StatusCode::BAD_REQUEST)["error"], "no \"such\" thing");
    }
}
