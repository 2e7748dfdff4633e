//! Reading `POST /messages`.

use serde_json::Value;

use crate::compose::{Prompt, ToolChoice};

/// What a request asks for beside the prompt.
pub(super) struct MessagesRequest {
    pub(super) model: String,
    pub(super) prompt: Prompt,
    pub(super) stream: bool,
    /// Whether anything is marked to be cached.
    pub(super) caches: bool,
}

impl MessagesRequest {
    /// Reads a request; what is wrong with it, in the words of an API.
    pub(super) fn read(body: &Value) -> Result<Self, String> {
        let model = body["model"].as_str().ok_or("model: Field required")?.to_owned();
        let messages = body["messages"].as_array().ok_or("messages: Field required")?;
        if messages.is_empty() {
            return Err("messages: at least one message is required".to_owned());
        }
        let format = if body["output_format"].is_object() {
            &body["output_format"]
        } else {
            &body["output_config"]["format"]
        };
        let mut prompt = Prompt {
            limit: body["max_tokens"].as_u64(),
            thinks: matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive")),
            schema: (format["type"] == "json_schema").then(|| format["schema"].clone()),
            choice: match body["tool_choice"]["type"].as_str() {
                Some("none") => ToolChoice::None,
                Some("any") => ToolChoice::Required,
                Some("tool") => {
                    ToolChoice::Named(body["tool_choice"]["name"].as_str().unwrap_or_default().to_owned())
                }
                _ => ToolChoice::Auto,
            },
            ..Prompt::default()
        };
        for tool in body["tools"].as_array().into_iter().flatten() {
            if let Some(name) = tool["name"].as_str().filter(|_| tool["input_schema"].is_object()) {
                prompt.offer(name, tool.get("input_schema"));
            }
        }
        if !body["system"].is_null() {
            prompt.said(&text_of(&body["system"]));
        }
        for message in messages {
            read_message(message, &mut prompt);
        }
        Ok(Self {
            model,
            prompt,
            stream: body["stream"].as_bool().unwrap_or(false),
            caches: is_anything_cached(body),
        })
    }
}

fn is_anything_cached(body: &Value) -> bool {
    let marked = |blocks: &Value| {
        blocks.as_array().is_some_and(|all| all.iter().any(|one| one["cache_control"].is_object()))
    };
    let in_messages =
        body["messages"].as_array().is_some_and(|all| all.iter().any(|one| marked(&one["content"])));
    body["cache_control"].is_object() || marked(&body["system"]) || marked(&body["tools"]) || in_messages
}

fn read_message(message: &Value, prompt: &mut Prompt) {
    let content = &message["content"];
    if message["role"] == "assistant" {
        return prompt.assistant(&text_of(content));
    }
    let results: Vec<String> = content
        .as_array()
        .into_iter()
        .flatten()
        .filter(|block| block["type"] == "tool_result")
        .map(|block| text_of(&block["content"]))
        .collect();
    if results.is_empty() { prompt.user(text_of(content)) } else { prompt.tool(results.join("\n")) }
}

/// The text of content: a string, or the text blocks of a list.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}
