//! `GET /models`, and one of them.

use http::StatusCode;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::call::Call;
use crate::errors::error;
use crate::route::Dialect;

const MODELS: &[(&str, u64)] = &[
    ("gpt-4o", 1_715_367_049),
    ("gpt-4o-mini", 1_721_172_741),
    ("gpt-5", 1_754_073_306),
    ("o4-mini", 1_744_225_308),
    ("deepseek-reasoner", 1_737_331_200),
    ("text-embedding-3-small", 1_705_948_997),
    ("text-embedding-3-large", 1_705_953_180),
    ("gpt-image-1", 1_745_517_030),
    ("gpt-4o-mini-tts", 1_742_403_959),
    ("whisper-1", 1_677_532_384),
    ("omni-moderation-latest", 1_731_689_265),
];

/// Lists the models that the mock speaks of; any other name works too.
pub(crate) fn models(id: Option<&str>, call: &Call<'_>) -> Answer {
    let model = |(id, created): &(&str, u64)| -> Value {
        json!({"id": id, "object": "model", "created": created, "owned_by": "mock"})
    };
    match id {
        None => {
            Answer::value(&json!({"object": "list", "data": MODELS.iter().map(model).collect::<Vec<_>>()}))
        }
        Some(id) => match MODELS.iter().find(|(have, _)| *have == id) {
            Some(found) => Answer::value(&model(found)),
            None => {
                let message = format!("The model '{id}' does not exist");
                error(Dialect::OpenAi, StatusCode::NOT_FOUND, &message, call)
            }
        },
    }
}
