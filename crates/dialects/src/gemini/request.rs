//! Requests to Gemini: generation, token counts, embeddings, Vertex's predictions.

use serde_json::Value;

use super::parts;
use crate::json::{Object, ObjectExt};
use crate::language::objects;
use crate::openai_chat::content::left;
use crate::openai_chat::tools;
use crate::reading::{Message, Part, Reading, Role, ToolDefinition};

/// Reads a request.
pub(super) fn read(mut body: Object, reading: &mut Reading) {
    if let Some(inner) = body.take_object("generateContentRequest") {
        read(inner, reading);
    }
    if let Some(model) = body.take_string("model") {
        reading.model_asked = Some(model.strip_prefix("models/").unwrap_or(&model).to_owned());
    }
    for key in ["systemInstruction", "system_instruction"] {
        if let Some(system) = body.remove(key) {
            let parts = content_parts(system);
            if !parts.is_empty() {
                reading.messages.insert(0, Message::new(Role::System, parts));
            }
        }
    }
    match body.remove("contents") {
        Some(Value::Array(list)) => reading.messages.extend(list.into_iter().filter_map(content)),
        Some(one) => reading.messages.extend(content(one)),
        None => {}
    }
    // Embeddings: one content, or a request for each of several.
    reading.messages.extend(body.remove("content").and_then(content));
    for mut request in objects(body.take_list("requests")) {
        reading.messages.extend(request.remove("content").and_then(content));
    }
    // Vertex's predictions.
    for mut instance in objects(body.take_list("instances")) {
        let text = ["content", "prompt", "text"].iter().find_map(|key| instance.take_string(key));
        let part = text.map_or_else(|| Part::Other { value: Value::Object(instance) }, Part::text);
        reading.messages.push(Message::new(Role::User, vec![part]));
    }
    for tool in objects(body.take_list("tools")) {
        read_tool(tool, reading);
    }
    reading.parameters.append(&mut body);
}

/// One content: an object with role and parts, or plain text.
fn content(value: Value) -> Option<Message> {
    let role = match value.get("role").and_then(Value::as_str) {
        Some(role) => Role::from_word(role),
        None => Role::User,
    };
    let parts = content_parts(value);
    (!parts.is_empty()).then(|| Message::new(role, parts))
}

fn content_parts(value: Value) -> Vec<Part> {
    match value {
        Value::String(text) => vec![Part::text(text)],
        Value::Object(mut content) => match content.remove("parts") {
            Some(Value::Array(list)) => parts::parts(list),
            Some(part) => parts::parts(vec![part]),
            None if content.contains_key("text") => parts::parts(vec![Value::Object(content)]),
            None => Vec::new(),
        },
        Value::Array(list) => parts::parts(list),
        _ => Vec::new(),
    }
}

/// A tool: functions that are declared, or one of Gemini's own under its name.
fn read_tool(mut tool: Object, reading: &mut Reading) {
    for key in ["functionDeclarations", "function_declarations"] {
        for mut function in objects(tool.take_list(key)) {
            let schema = ["parameters", "parametersJsonSchema", "parameters_json_schema"]
                .iter()
                .find_map(|key| function.take_value(key));
            reading.tools.push(ToolDefinition {
                name: function.take_string("name").unwrap_or_default(),
                description: function.take_string("description"),
                schema,
                extra: left(function),
            });
        }
    }
    if tool.contains_key("type") {
        reading.tools.push(tools::definition(tool));
        return;
    }
    for (name, settings) in tool {
        let extra = match settings {
            Value::Object(settings) => left(settings),
            _ => Object::new(),
        };
        reading.tools.push(ToolDefinition { name, extra, ..ToolDefinition::default() });
    }
}
