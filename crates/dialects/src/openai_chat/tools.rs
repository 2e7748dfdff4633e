//! Tools of OpenAI's languages: what is offered, and what is called.

use serde_json::Value;

use super::content::{arguments, left};
use crate::json::{Object, ObjectExt};
use crate::language::objects;
use crate::reading::{ToolCall, ToolDefinition};

/// The tools that a request offers: wrapped (`{type, function: {name, ...}}`) or flat (`{type, name, ...}`).
pub(crate) fn definitions(list: Vec<Value>) -> Vec<ToolDefinition> {
    objects(list).map(definition).collect()
}

/// One tool.
pub(crate) fn definition(mut tool: Object) -> ToolDefinition {
    let kind = tool.take_string("type");
    let inner =
        kind.as_deref().and_then(|kind| tool.take_object(kind)).or_else(|| tool.take_object("function"));
    let mut extra = match inner {
        Some(mut inner) => {
            inner.extend(tool);
            inner
        }
        None => tool,
    };
    let name = extra.take_string("name");
    let schema = ["parameters", "input_schema", "schema"].iter().find_map(|key| extra.take_value(key));
    let description = extra.take_string("description");
    // A function is what a tool is, unless it says otherwise.
    if let Some(kind) = kind.as_ref().filter(|kind| *kind != "function" && name.is_some()) {
        extra.insert("type".into(), Value::String(kind.clone()));
    }
    let name = name.or(kind).unwrap_or_default();
    ToolDefinition { name, description, schema, extra: left(extra) }
}

/// A whole call of a tool.
pub(crate) fn call(mut call: Object) -> Option<ToolCall> {
    let id = call.take_string("id").filter(|id| !id.is_empty());
    let kind = call.take_string("type");
    let signature = signature(&call);
    let mut inner = call
        .take_object("function")
        .or_else(|| kind.as_deref().and_then(|kind| call.take_object(kind)))
        .unwrap_or(call);
    let name = inner.take_string("name").or(kind).unwrap_or_default();
    let arguments = ["arguments", "input"].iter().find_map(|key| inner.take_value(key)).map(arguments);
    // Some providers send an empty `function_call` beside every text.
    if name.is_empty() && arguments.as_deref().unwrap_or_default().is_empty() {
        return None;
    }
    Some(ToolCall { id, name, arguments: arguments.unwrap_or_default(), by_provider: false, signature })
}

/// Gemini's signature, as its OpenAI-compatible endpoint carries it.
pub(crate) fn signature(call: &Object) -> Option<String> {
    let google = call.object("extra_content")?.object("google")?;
    google.text("thought_signature").map(str::to_owned)
}
