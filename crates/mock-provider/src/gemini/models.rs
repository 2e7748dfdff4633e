//! `GET /v1beta/models`, and one of them.

use http::StatusCode;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::call::Call;
use crate::errors::error;
use crate::route::Dialect;

const MODELS: &[(&str, &str)] = &[
    ("gemini-2.5-pro", "Gemini 2.5 Pro"),
    ("gemini-2.5-flash", "Gemini 2.5 Flash"),
    ("gemini-2.0-flash", "Gemini 2.0 Flash"),
    ("gemini-embedding-001", "Gemini Embedding 001"),
];

/// Lists the models that the mock speaks of; any other name works too.
pub(crate) fn models(id: Option<&str>, call: &Call<'_>) -> Answer {
    let model = |(id, name): &(&str, &str)| -> Value {
        let methods = if id.contains("embedding") {
            json!(["embedContent", "countTokens"])
        } else {
            json!(["generateContent", "countTokens"])
        };
        json!({
            "name": format!("models/{id}"), "version": "001", "displayName": name, "description": name,
            "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536, "supportedGenerationMethods": methods,
        })
    };
    match id {
        None => Answer::value(&json!({"models": MODELS.iter().map(model).collect::<Vec<_>>()})),
        Some(id) => match MODELS.iter().find(|(have, _)| *have == id) {
            Some(found) => Answer::value(&model(found)),
            None => {
                let message = format!("models/{id} is not found for API version v1beta.");
                error(Dialect::Gemini, StatusCode::NOT_FOUND, &message, call)
            }
        },
    }
}
