//! Reading `generateContent` and its kin. JSON names come in camel case from most callers and in snake case
//! from some; Google takes both.

use serde_json::Value;

use crate::compose::{Prompt, ToolChoice};

/// What a request asks for beside the prompt.
pub(super) struct GenerateRequest {
    pub(super) prompt: Prompt,
    pub(super) candidates: u64,
    pub(super) include_thoughts: bool,
}

impl GenerateRequest {
    /// Reads a request; what is wrong with it, in the words of an API.
    pub(super) fn read(body: &Value) -> Result<Self, String> {
        let contents = body["contents"].as_array().filter(|contents| !contents.is_empty());
        let contents = contents.ok_or("* GenerateContentRequest.contents: contents is not specified")?;
        let config = either(body, "generationConfig", "generation_config");
        let thinking = either(config, "thinkingConfig", "thinking_config");
        let include_thoughts =
            either(thinking, "includeThoughts", "include_thoughts").as_bool().unwrap_or(false);
        let json = either(config, "responseMimeType", "response_mime_type") == "application/json";
        let schema = [("responseJsonSchema", "response_json_schema"), ("responseSchema", "response_schema")]
            .into_iter()
            .map(|(camel, snake)| either(config, camel, snake))
            .find(|schema| schema.is_object());
        let mut prompt = Prompt {
            limit: either(config, "maxOutputTokens", "max_output_tokens").as_u64(),
            thinks: thinking.is_object(),
            schema: schema.cloned().or(json.then_some(Value::Null)),
            choice: tool_choice(body),
            ..Prompt::default()
        };
        for tool in body["tools"].as_array().into_iter().flatten() {
            let declared = either(tool, "functionDeclarations", "function_declarations");
            for function in declared.as_array().into_iter().flatten() {
                if let Some(name) = function["name"].as_str() {
                    let schema = either(function, "parametersJsonSchema", "parameters_json_schema");
                    prompt
                        .offer(name, Some(if schema.is_object() { schema } else { &function["parameters"] }));
                }
            }
        }
        let system = either(body, "systemInstruction", "system_instruction");
        if !system.is_null() {
            prompt.said(&text_of(&system["parts"]));
        }
        for content in contents {
            read_content(content, &mut prompt);
        }
        let candidates =
            either(config, "candidateCount", "candidate_count").as_u64().unwrap_or(1).clamp(1, 8);
        Ok(Self { prompt, candidates, include_thoughts })
    }
}

/// A member under one of its two names.
pub(super) fn either<'a>(object: &'a Value, camel: &str, snake: &str) -> &'a Value {
    if object.get(camel).is_some() { &object[camel] } else { &object[snake] }
}

fn tool_choice(body: &Value) -> ToolChoice {
    let config =
        either(either(body, "toolConfig", "tool_config"), "functionCallingConfig", "function_calling_config");
    let allowed = either(config, "allowedFunctionNames", "allowed_function_names");
    match config["mode"].as_str() {
        Some("NONE") => ToolChoice::None,
        Some("ANY") => match allowed.as_array().map(Vec::as_slice) {
            Some([only]) => ToolChoice::Named(only.as_str().unwrap_or_default().to_owned()),
            _ => ToolChoice::Required,
        },
        _ => ToolChoice::Auto,
    }
}

fn read_content(content: &Value, prompt: &mut Prompt) {
    let parts = &content["parts"];
    let results: Vec<String> = parts
        .as_array()
        .into_iter()
        .flatten()
        .map(|part| &either(part, "functionResponse", "function_response")["response"])
        .filter(|response| !response.is_null())
        .map(Value::to_string)
        .collect();
    if !results.is_empty() {
        prompt.tool(results.join("\n"));
    } else if content["role"] == "model" {
        prompt.assistant(&text_of(parts));
    } else {
        prompt.user(text_of(parts));
    }
}

/// The text of a list of parts, or of a single one.
pub(super) fn text_of(parts: &Value) -> String {
    let texts: Vec<&str> = match parts {
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        part => part["text"].as_str().into_iter().collect(),
    };
    texts.join("\n")
}
