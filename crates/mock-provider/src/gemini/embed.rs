//! `embedContent` and `batchEmbedContents`.

use serde_json::{Value, json};

use super::request::{either, text_of};
use crate::answer::Answer;
use crate::vector::{MOST_DIMENSIONS, as_json, embed};

const USUAL_DIMENSIONS: u64 = 3072;

/// Embeds one content.
pub(super) fn embed_content(body: &Value) -> Result<Answer, String> {
    Ok(Answer::value(&json!({"embedding": embedding(body)?})))
}

/// Embeds several.
pub(super) fn batch_embed_contents(body: &Value) -> Result<Answer, String> {
    let requests =
        body["requests"].as_array().ok_or("* BatchEmbedContentsRequest.requests: is not specified")?;
    let embeddings: Vec<Value> = requests.iter().map(embedding).collect::<Result<_, _>>()?;
    Ok(Answer::value(&json!({"embeddings": embeddings})))
}

fn embedding(request: &Value) -> Result<Value, String> {
    let content = request.get("content").ok_or("* EmbedContentRequest.content: content is not specified")?;
    let dimensions = either(request, "outputDimensionality", "output_dimensionality").as_u64();
    let dimensions = dimensions.unwrap_or(USUAL_DIMENSIONS);
    if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
        return Err(format!("* EmbedContentRequest.output_dimensionality: expected 1 to {MOST_DIMENSIONS}"));
    }
    let dimensions = usize::try_from(dimensions).map_err(|error| error.to_string())?;
    Ok(json!({"values": as_json(&embed(&text_of(&content["parts"]), dimensions))}))
}
