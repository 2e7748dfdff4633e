//! Reading `POST /chat/completions`.

use serde_json::Value;

use crate::compose::{Prompt, ToolChoice};

/// What the request asks for beside the prompt.
pub(super) struct ChatRequest {
    pub(super) model: String,
    pub(super) prompt: Prompt,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) choices: u64,
    pub(super) logprobs: bool,
    pub(super) audio: bool,
}

/// More answers than this are refused, as OpenAI does.
const MOST_CHOICES: u64 = 128;

impl ChatRequest {
    /// Reads a request; what is wrong with it, in the words of an API.
    pub(super) fn read(body: &Value) -> Result<Self, String> {
        let model = super::model(body)?;
        let Some(messages) = body["messages"].as_array() else {
            return Err("Missing required parameter: 'messages'.".to_owned());
        };
        if messages.is_empty() {
            return Err("Invalid 'messages': empty array. Expected at least one message.".to_owned());
        }
        let choices = body["n"].as_u64().unwrap_or(1);
        if !(1..=MOST_CHOICES).contains(&choices) {
            return Err(format!("Invalid 'n': expected 1 to {MOST_CHOICES}."));
        }
        let mut prompt = Prompt {
            limit: body["max_completion_tokens"].as_u64().or(body["max_tokens"].as_u64()),
            thinks: body.get("reasoning_effort").is_some() || is_reasoning_model(model),
            schema: response_schema(&body["response_format"]),
            choice: tool_choice(&body["tool_choice"]),
            ..Prompt::default()
        };
        for tool in body["tools"].as_array().into_iter().flatten() {
            if let Some(name) = tool["function"]["name"].as_str() {
                prompt.offer(name, tool["function"].get("parameters"));
            }
        }
        for message in messages {
            let text = content_text(&message["content"]);
            match message["role"].as_str() {
                Some("user") => prompt.user(text),
                Some("tool" | "function") => prompt.tool(text),
                Some("assistant") => prompt.assistant(&text),
                _ => prompt.said(&text),
            }
        }
        Ok(Self {
            model: model.to_owned(),
            prompt,
            stream: body["stream"].as_bool().unwrap_or(false),
            include_usage: body["stream_options"]["include_usage"].as_bool().unwrap_or(false),
            choices,
            logprobs: body["logprobs"].as_bool().unwrap_or(false),
            audio: body["modalities"]
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|kind| kind == "audio")),
        })
    }
}

fn is_reasoning_model(model: &str) -> bool {
    model.contains("reason") || model.contains("deepseek-r") || model.contains("thinking")
}

/// The text of a message's content: a string, or the text parts of a list.
pub(super) fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

fn response_schema(format: &Value) -> Option<Value> {
    match format["type"].as_str()? {
        "json_schema" => Some(format["json_schema"]["schema"].clone()),
        "json_object" => Some(Value::Null),
        _ => None,
    }
}

/// `"auto"`, `"none"`, `"required"`, or a named function (in chat's shape or in that of responses).
pub(super) fn tool_choice(choice: &Value) -> ToolChoice {
    match choice {
        Value::String(word) if word == "none" => ToolChoice::None,
        Value::String(word) if word == "required" => ToolChoice::Required,
        Value::Object(object) => {
            let name = choice["function"]["name"].as_str().or(choice["name"].as_str());
            match name {
                Some(name) => ToolChoice::Named(name.to_owned()),
                None if object.get("type").is_some_and(|kind| kind == "allowed_tools") => ToolChoice::Auto,
                None => ToolChoice::Required,
            }
        }
        _ => ToolChoice::Auto,
    }
}
