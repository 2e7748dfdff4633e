//! Reading `POST /responses`.

use serde_json::Value;

use super::chat_request::{content_text, tool_choice};
use crate::compose::Prompt;

/// What a request asks for beside the prompt.
pub(super) struct ResponsesRequest<'a> {
    pub(super) model: &'a str,
    pub(super) prompt: Prompt,
    pub(super) stream: bool,
    /// The request itself, much of which an answer repeats.
    pub(super) body: &'a Value,
}

impl<'a> ResponsesRequest<'a> {
    /// Reads a request; what is wrong with it, in the words of an API.
    pub(super) fn read(body: &'a Value) -> Result<Self, String> {
        let model = super::model(body)?;
        let format = &body["text"]["format"];
        let mut prompt = Prompt {
            limit: body["max_output_tokens"].as_u64(),
            thinks: body["reasoning"].is_object() || model.starts_with('o') || model.starts_with("gpt-5"),
            schema: match format["type"].as_str() {
                Some("json_schema") => Some(format["schema"].clone()),
                Some("json_object") => Some(Value::Null),
                _ => None,
            },
            choice: tool_choice(&body["tool_choice"]),
            ..Prompt::default()
        };
        for tool in body["tools"].as_array().into_iter().flatten() {
            if let Some(name) = tool["name"].as_str().filter(|_| tool["type"] == "function") {
                prompt.offer(name, tool.get("parameters"));
            }
        }
        if let Some(instructions) = body["instructions"].as_str() {
            prompt.said(instructions);
        }
        match &body["input"] {
            Value::String(text) => prompt.user(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| read_item(item, &mut prompt)),
            _ => return Err("Missing required parameter: 'input'.".to_owned()),
        }
        let stream = body["stream"].as_bool().unwrap_or(false);
        Ok(Self { model, prompt, stream, body })
    }
}

fn read_item(item: &Value, prompt: &mut Prompt) {
    match (item["type"].as_str(), item["role"].as_str()) {
        (Some("function_call_output"), _) => {
            let output = &item["output"];
            prompt.tool(output.as_str().map_or_else(|| content_text(output), str::to_owned));
        }
        (Some("function_call"), _) => prompt.assistant(item["arguments"].as_str().unwrap_or_default()),
        (_, Some("user")) => prompt.user(content_text(&item["content"])),
        (_, Some("assistant")) => prompt.assistant(&content_text(&item["content"])),
        _ => prompt.said(&content_text(&item["content"])),
    }
}
