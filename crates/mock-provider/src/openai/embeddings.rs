//! `POST /embeddings`.

use serde_json::{Value, json};

use super::{answer_json, model};
use crate::answer::Answer;
use crate::call::Call;
use crate::compose::tokens;
use crate::vector::{MOST_DIMENSIONS, as_base64, as_json, embed};

/// Embeds texts (or lists of tokens), as floats or in base64.
pub(crate) fn embeddings(call: &Call<'_>) -> Answer {
    answer_json(call, |body| {
        let model = model(body)?;
        let inputs: Vec<String> = match &body["input"] {
            Value::String(text) => vec![text.clone()],
            Value::Array(items) if items.iter().all(Value::is_number) && !items.is_empty() => {
                vec![body["input"].to_string()]
            }
            Value::Array(items) if !items.is_empty() => items
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                .collect(),
            _ => return Err("'$.input' is invalid.".to_owned()),
        };
        let usual = if model.ends_with("-large") { 3072 } else { 1536 };
        let dimensions = body["dimensions"].as_u64().unwrap_or(usual);
        if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
            return Err(format!("Invalid 'dimensions': expected 1 to {MOST_DIMENSIONS}."));
        }
        let dimensions = usize::try_from(dimensions).map_err(|error| error.to_string())?;
        let base64 = body["encoding_format"] == "base64";
        let data: Vec<Value> = inputs
            .iter()
            .enumerate()
            .map(|(index, input)| {
                let vector = embed(input, dimensions);
                let vector = if base64 { as_base64(&vector).into() } else { as_json(&vector) };
                json!({"object": "embedding", "index": index, "embedding": vector})
            })
            .collect();
        let used: u64 = inputs.iter().map(|input| tokens(input)).sum();
        Ok(Answer::value(&json!({
            "object": "list", "data": data, "model": model,
            "usage": {"prompt_tokens": used, "total_tokens": used},
        })))
    })
}
