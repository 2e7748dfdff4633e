//! Requests of chat completions.

use serde_json::Value;

use super::{answer, tools};
use crate::json::{Object, ObjectExt, entries};
use crate::reading::{Message, Part, Reading, Role, ToolResult};

/// Reads a request.
pub(crate) fn read(mut body: Object, reading: &mut Reading) {
    reading.model_asked = body.take_string("model");
    reading.stream_asked = body.flag("stream");
    body.remove("stream");
    reading.messages.extend(entries(body.take_list("messages")).map(message));
    reading.tools = tools::definitions(body.take_list("tools"));
    reading.tools.extend(tools::definitions(body.take_list("functions")));
    reading.parameters.append(&mut body);
}

/// One message.
pub(crate) fn message(value: Value) -> Message {
    let mut message = match value {
        Value::Object(message) => message,
        Value::String(text) => return Message::text(Role::User, text),
        value => return Message::new(Role::User, vec![Part::Other { value }]),
    };
    let role = Role::from_word(&message.take_string("role").unwrap_or_default());
    let name = message.take_string("name");
    let call_id = message.take_string("tool_call_id");
    let mut parts = answer::parts(&mut message);
    if role == Role::Tool {
        let result = ToolResult { call_id, name: name.clone(), parts, is_error: false };
        parts = vec![Part::ToolResult(result)];
    }
    Message { role, name, parts }
}
