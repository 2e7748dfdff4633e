//! Errors as providers tell them.
//!
//! OpenAI `{error: {message, type, param, code}}`, with Azure's code a text and OpenRouter's a number; Anthropic
//! `{type: "error", error, request_id}`; Gemini `{error: {code, status, details}}`, in a list when a stream was asked
//! for; xAI `{code, error: "text"}`; Ollama `{error: "text"}`; Mistral and Voyage `{detail}`; Cohere and Bedrock
//! `{message}`; vLLM `{object: "error", message}`; and pages of HTML from whatever stands in between.

use serde_json::Value;

use crate::json::{Object, ObjectExt, to_text, word};
use crate::reading::ProviderError;
use crate::text::preview;

/// The error of an answer whose status says that it is one.
pub(crate) fn of_answer(status: u16, body: &[u8], json: Option<&Value>) -> ProviderError {
    if let Some(error) = json.and_then(|json| explicit(json).or_else(|| implicit(json))) {
        return error;
    }
    let text = preview(&without_tags(&String::from_utf8_lossy(&body[..body.len().min(8192)])));
    let message =
        if text.is_empty() { format!("the provider answered {status} without a body") } else { text };
    ProviderError { message, ..ProviderError::default() }
}

/// The error in a frame of a stream, or in a document whose status was good.
pub(crate) fn inside(name: Option<&str>, json: &Value) -> Option<ProviderError> {
    if let Some(error) = explicit(json) {
        return Some(error);
    }
    let says_so = name == Some("error")
        || ["type", "object"].iter().any(|key| json.get(key).and_then(Value::as_str) == Some("error"));
    if says_so { Some(implicit(json).unwrap_or_else(|| as_text(json))) } else { None }
}

/// An error that is told as such: under `error`.
pub(crate) fn explicit(json: &Value) -> Option<ProviderError> {
    let outer = match json {
        Value::Object(outer) => outer,
        Value::Array(list) => return list.iter().find_map(explicit),
        _ => return None,
    };
    match outer.get("error")? {
        Value::Object(error) if !error.is_empty() => Some(from_object(error, outer)),
        Value::String(error) if !error.is_empty() => {
            // OAuth tells a word under `error` and the sentence beside it.
            let sentence = ["error_description", "message"].iter().find_map(|key| outer.text(key));
            Some(ProviderError {
                kind: sentence.map(|_| error.clone()).or_else(|| outer.text("type").map(str::to_owned)),
                code: outer.get("code").and_then(word),
                message: sentence.unwrap_or(error).to_owned(),
                ..ProviderError::default()
            })
        }
        Value::Array(list) => list.iter().find_map(|error| Some(from_object(error.as_object()?, outer))),
        _ => None,
    }
}

/// An error that only the status, or the frame's kind, tells to be one.
fn implicit(json: &Value) -> Option<ProviderError> {
    let outer = match json {
        Value::Object(outer) => outer,
        Value::Array(list) => return list.iter().find_map(implicit),
        _ => return None,
    };
    if let Some(error) = outer.get("errors").and_then(Value::as_array).and_then(|list| list.first()) {
        return Some(match error {
            Value::Object(error) => from_object(error, outer),
            other => as_text(other),
        });
    }
    ["message", "detail", "error_message", "errorMessage", "title"]
        .iter()
        .any(|key| outer.contains_key(*key))
        .then(|| from_object(outer, outer))
}

fn from_object(error: &Object, outer: &Object) -> ProviderError {
    let message =
        ["message", "detail", "msg", "error_message", "errorMessage", "error_description", "error", "title"]
            .iter()
            .find_map(|key| sentence(error.get(*key)?));
    let first = |keys: &[&str]| {
        keys.iter().find_map(|key| error.get(*key).or_else(|| outer.get(*key)).and_then(word))
    };
    ProviderError {
        kind: error
            .get("type")
            .and_then(word)
            .filter(|kind| kind != "error")
            .or_else(|| first(&["status", "__type"])),
        code: error.get("code").and_then(word),
        param: error.get("param").and_then(word),
        message: message.unwrap_or_else(|| to_text(&Value::Object(error.clone()))),
        details: ["details", "metadata", "failed_generation", "detail", "innererror", "errors"]
            .iter()
            .find_map(|key| error.get(*key))
            .filter(|details| details.is_array() || details.is_object() || details.is_string())
            .filter(|details| **details != Value::Array(Vec::new()))
            .cloned(),
    }
}

/// A message that need not be text: FastAPI lists what is wrong with each field.
fn sentence(message: &Value) -> Option<String> {
    match message {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(list) => {
            let sentences: Vec<String> = list
                .iter()
                .filter_map(|entry| entry.get("msg").and_then(sentence).or_else(|| sentence(entry)))
                .collect();
            (!sentences.is_empty()).then(|| sentences.join("; "))
        }
        Value::Object(object) => ["message", "detail", "msg"]
            .iter()
            .find_map(|key| sentence(object.get(*key)?))
            .or_else(|| Some(to_text(message)).filter(|_| !object.is_empty())),
        _ => None,
    }
}

fn as_text(json: &Value) -> ProviderError {
    let message = word(json).unwrap_or_else(|| to_text(json));
    ProviderError { message, ..ProviderError::default() }
}

/// A page's text, roughly: enough for a line that says what a proxy had to say.
fn without_tags(page: &str) -> String {
    if !page.trim_start().starts_with('<') {
        return page.to_owned();
    }
    let mut text = String::new();
    let mut inside = false;
    for char in page.chars() {
        match char {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            _ if !inside => text.push(char),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(json: &Value) -> (Option<String>, Option<String>, String) {
        let error = of_answer(400, json.to_string().as_bytes(), Some(json));
        (error.kind, error.code, error.message)
    }

    fn said(
        kind: Option<&str>,
        code: Option<&str>,
        message: &str,
    ) -> (Option<String>, Option<String>, String) {
        (kind.map(str::to_owned), code.map(str::to_owned), message.to_owned())
    }

    #[test]
    fn every_providers_shape_is_read() {
        let openai = json!({"error": {"message": "No.", "type": "invalid_request_error", "param": "model", "code": null}});
        assert_eq!(line(&openai), said(Some("invalid_request_error"), None, "No."));
        assert_eq!(of_answer(400, b"", Some(&openai)).param.as_deref(), Some("model"));
        assert_eq!(
            line(&json!({"error": {"code": "401", "message": "No."}})),
            said(None, Some("401"), "No.")
        );
        let openrouter =
            json!({"error": {"code": 429, "message": "Busy", "metadata": {"provider_name": "X"}}});
        assert_eq!(line(&openrouter), said(None, Some("429"), "Busy"));
        assert_eq!(of_answer(429, b"", Some(&openrouter)).details, Some(json!({"provider_name": "X"})));
        assert_eq!(
            line(
                &json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "r"})
            ),
            said(Some("overloaded_error"), None, "Overloaded")
        );
        let gemini =
            json!([{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Bad", "details": []}}]);
        assert_eq!(line(&gemini), said(Some("INVALID_ARGUMENT"), Some("400"), "Bad"));
        assert_eq!(line(&json!({"code": "denied", "error": "No key"})), said(None, Some("denied"), "No key"));
        assert_eq!(line(&json!({"error": "model 'x' not found"})), said(None, None, "model 'x' not found"));
        assert_eq!(line(&json!({"detail": "Invalid API Key"})), said(None, None, "Invalid API Key"));
        assert_eq!(
            line(&json!({"detail": [{"loc": ["body", "n"], "msg": "field required", "type": "missing"}]})),
            said(None, None, "field required")
        );
        assert_eq!(line(&json!({"message": "expired"})), said(None, None, "expired"));
        assert_eq!(
            line(&json!({"object": "error", "message": {"detail": "x"}, "type": "bad", "code": 3})),
            said(Some("bad"), Some("3"), "x")
        );
        assert_eq!(
            line(&json!({"errors": [{"code": "no_model", "message": "gone"}], "trace": "t"})),
            said(None, Some("no_model"), "gone")
        );
        assert_eq!(
            line(&json!({"error": "invalid_grant", "error_description": "Expired."})),
            said(Some("invalid_grant"), None, "Expired.")
        );
    }

    #[test]
    fn an_answer_without_json_is_told_by_its_text() {
        let page = b"<html><head><title>502 Bad Gateway</title></head>\n<body><h1>502</h1></body></html>";
        assert_eq!(of_answer(502, page, None).message, "502 Bad Gateway 502");
        assert_eq!(of_answer(503, b"", None).message, "the provider answered 503 without a body");
        assert_eq!(of_answer(500, b"upstream connect error", None).message, "upstream connect error");
        assert_eq!(of_answer(500, b"{\"odd\":1}", Some(&json!({"odd": 1}))).message, "{\"odd\":1}");
    }

    #[test]
    fn a_good_answer_is_no_error_only_for_having_a_message() {
        for json in [
            json!({"message": {"content": []}}),
            json!({"error": null}),
            json!({"error": ""}),
            json!({"error": {}}),
            json!({"detail": "low"}),
            json!([{"message": 1}]),
        ] {
            assert_eq!(inside(None, &json), None, "{json}");
        }
        assert_eq!(inside(Some("error"), &json!({"message": "x"})).unwrap().message, "x");
        assert_eq!(inside(None, &json!({"object": "error", "message": "x"})).unwrap().message, "x");
        assert_eq!(
            inside(None, &json!({"type": "error", "code": 7})).unwrap().message,
            "{\"code\":7,\"type\":\"error\"}"
        );
    }
}
