//! `GET /models` with an `anthropic-version`, and one of them.

use http::StatusCode;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::call::Call;
use crate::errors::error;
use crate::route::Dialect;

const MODELS: &[(&str, &str, &str)] = &[
    ("claude-opus-4-5-20251101", "Claude Opus 4.5", "2025-11-24T00:00:00Z"),
    ("claude-haiku-4-5-20251001", "Claude Haiku 4.5", "2025-10-15T00:00:00Z"),
    ("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5", "2025-09-29T00:00:00Z"),
];

/// Lists the models that the mock speaks of; any other name works too.
pub(crate) fn models(id: Option<&str>, call: &Call<'_>) -> Answer {
    let model = |(id, name, created): &(&str, &str, &str)| -> Value {
        json!({"type": "model", "id": id, "display_name": name, "created_at": created})
    };
    match id {
        None => Answer::value(&json!({
            "data": MODELS.iter().map(model).collect::<Vec<_>>(), "has_more": false,
            "first_id": MODELS.first().map(|model| model.0), "last_id": MODELS.last().map(|model| model.0),
        })),
        Some(id) => match MODELS.iter().find(|(have, ..)| *have == id) {
            Some(found) => Answer::value(&model(found)),
            None => error(Dialect::Anthropic, StatusCode::NOT_FOUND, &format!("model: {id}"), call),
        },
    }
}
