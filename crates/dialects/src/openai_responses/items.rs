//! The items of responses: what goes in and what comes out are the same things.

use serde_json::{Value, json};

use crate::json::{Object, ObjectExt, entries, to_text};
use crate::openai_chat::content::{self, arguments, image_made};
use crate::reading::{Message, Part, Reasoning, Role, ToolCall, ToolResult};

/// The messages that a list of items makes. What the model said in a row (reasoning, text, calls) is one message.
pub(crate) fn messages(list: Vec<Value>) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    for item in entries(list) {
        let role = role(&item);
        let mut parts = Vec::new();
        read(item, &mut parts);
        match messages.last_mut() {
            Some(last) if last.role == role && role == Role::Assistant => last.parts.append(&mut parts),
            _ => {
                // A million of them would waste what pushing reserves for more.
                parts.shrink_to_fit();
                messages.push(Message::new(role, parts));
            }
        }
    }
    messages
}

fn role(item: &Value) -> Role {
    if let Some(role) = item.get("role").and_then(Value::as_str) {
        return Role::from_word(role);
    }
    match item.get("type").and_then(Value::as_str) {
        Some(kind) if kind.ends_with("_output") || kind == "mcp_approval_response" => Role::Tool,
        Some(kind) if kind.starts_with("input_") || kind == "item_reference" => Role::User,
        Some(_) => Role::Assistant,
        None => Role::User,
    }
}

/// Reads an item into parts. Unknown kinds stay as they are.
pub(crate) fn read(item: Value, parts: &mut Vec<Part>) {
    let mut item = match item {
        Value::Object(item) => item,
        Value::String(text) => return parts.push(Part::text(text)),
        value => return parts.push(Part::Other { value }),
    };
    let kind = item.text("type").unwrap_or("message").to_owned();
    match kind.as_str() {
        "message" => parts.extend(content::parts(item.remove("content").unwrap_or_default())),
        "reasoning" => parts.push(Part::Reasoning(reasoning(&mut item))),
        // One that is not known is likewise kept whole.
        "image_generation_call" => match item.take_string("result") {
            Some(data) => parts.push(image_made(data, item.text("output_format"))),
            None => parts.push(Part::ToolCall(call(&mut item, &kind))),
        },
        "mcp_list_tools"
        | "mcp_approval_request"
        | "mcp_approval_response"
        | "item_reference"
        | "compaction" => {
            parts.push(Part::Other { value: Value::Object(item) });
        }
        _ if kind.ends_with("_call_output") => parts.push(Part::ToolResult(output(&mut item))),
        _ if kind.ends_with("_call") => {
            parts.push(Part::ToolCall(call(&mut item, &kind)));
            parts.extend(own_result(&mut item).map(Part::ToolResult));
        }
        // Content that stands among the items without a message around it.
        _ if kind.starts_with("input_") || kind.starts_with("output_") => {
            parts.extend(content::parts(Value::Object(item)));
        }
        _ => parts.push(Part::Other { value: Value::Object(item) }),
    }
}

fn reasoning(item: &mut Object) -> Reasoning {
    let mut texts = |key: &str| {
        let list = item.take_list(key);
        list.iter().filter_map(|piece| piece.get("text")?.as_str()).collect::<Vec<_>>().join("\n\n")
    };
    // The reasoning itself, where it is open; else its summary.
    let (content, summary) = (texts("content"), texts("summary"));
    Reasoning {
        text: if content.is_empty() { summary } else { content },
        signature: None,
        encrypted: item.take_string("encrypted_content").filter(|encrypted| !encrypted.is_empty()),
    }
}

/// A call. The client runs its own functions, shells and screens; the rest the provider runs.
fn call(item: &mut Object, kind: &str) -> ToolCall {
    let by_provider = !matches!(
        kind,
        "function_call"
            | "custom_tool_call"
            | "computer_call"
            | "local_shell_call"
            | "shell_call"
            | "apply_patch_call"
    );
    let told = ["arguments", "input", "action", "code", "queries", "operation"]
        .iter()
        .find_map(|key| Some((*key, item.take_value(key)?)));
    let arguments = match told {
        // What is not the arguments by name needs its name to be understood.
        Some((key @ ("code" | "queries"), value)) => json!({ key: value }).to_string(),
        Some((_, value)) => arguments(value),
        None => String::new(),
    };
    let id = item.take_string("call_id").filter(|id| !id.is_empty()).or_else(|| item.take_string("id"));
    let name = item.take_string("name").unwrap_or_else(|| kind.trim_end_matches("_call").to_owned());
    ToolCall { id, name, arguments, by_provider, signature: None }
}

/// What a client's tool gave back.
fn output(item: &mut Object) -> ToolResult {
    let parts = match item.remove("output") {
        Some(Value::Object(output)) => match content::parts(Value::Object(output.clone())).pop() {
            Some(part @ (Part::Image(_) | Part::Text(_))) => vec![part],
            _ => vec![Part::text(to_text(&Value::Object(output)))],
        },
        Some(output) => content::parts(output),
        None => Vec::new(),
    };
    ToolResult { call_id: item.take_string("call_id"), name: None, parts, is_error: false }
}

/// What the provider's own tool gave back, told on the call itself.
fn own_result(item: &mut Object) -> Option<ToolResult> {
    let error = item.take_value("error");
    let is_error = error.is_some();
    let told =
        error.or_else(|| ["output", "outputs", "results"].iter().find_map(|key| item.take_value(key)))?;
    let parts = match told {
        Value::String(text) => vec![Part::text(text)],
        Value::Array(list) if list.is_empty() => return None,
        Value::Array(list) => entries(list).map(|value| Part::Other { value }).collect(),
        value => vec![Part::Other { value }],
    };
    Some(ToolResult { call_id: None, name: None, parts, is_error })
}
