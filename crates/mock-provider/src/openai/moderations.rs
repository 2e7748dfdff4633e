//! `POST /moderations`.

use serde_json::{Map, Value, json};

use super::chat_request::content_text;
use super::{answer_json, id};
use crate::answer::Answer;
use crate::call::Call;

const CATEGORIES: &[&str] = &[
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// Finds violence where a text has `kill` in it, and nothing otherwise.
pub(crate) fn moderations(call: &Call<'_>) -> Answer {
    answer_json(call, |body| {
        let texts: Vec<String> = match &body["input"] {
            Value::String(text) => vec![text.clone()],
            Value::Array(items) if items.iter().all(Value::is_string) => {
                items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            parts @ Value::Array(_) => vec![content_text(parts)],
            _ => return Err("Missing required parameter: 'input'.".to_owned()),
        };
        let results: Vec<Value> =
            texts.iter().map(|text| result(text.to_lowercase().contains("kill"))).collect();
        let model = body["model"].as_str().unwrap_or("omni-moderation-latest");
        Ok(Answer::value(&json!({"id": id("modr-", call.seed), "model": model, "results": results})))
    })
}

fn result(flagged: bool) -> Value {
    let (mut categories, mut scores, mut types) = (Map::new(), Map::new(), Map::new());
    for category in CATEGORIES {
        let found = flagged && *category == "violence";
        categories.insert((*category).to_owned(), found.into());
        scores.insert((*category).to_owned(), if found { 0.97.into() } else { 0.0001.into() });
        types.insert((*category).to_owned(), json!(["text"]));
    }
    json!({
        "flagged": flagged, "categories": categories, "category_scores": scores,
        "category_applied_input_types": types,
    })
}
