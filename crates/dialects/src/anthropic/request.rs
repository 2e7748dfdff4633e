//! Requests to Anthropic.

use serde_json::Value;

use super::blocks;
use crate::json::{Object, ObjectExt, entries};
use crate::openai_chat::tools;
use crate::reading::{Message, Part, Reading, Role};

/// Reads a request.
pub(super) fn read(mut body: Object, reading: &mut Reading) {
    reading.model_asked = body.take_string("model");
    reading.stream_asked = body.flag("stream");
    body.remove("stream");
    if let Some(system) = body.take_value("system") {
        reading.messages.push(Message::new(Role::System, blocks::parts(system)));
    }
    if let Some(prompt) = body.take_string("prompt") {
        reading.messages.push(Message::text(Role::User, prompt));
    }
    reading.messages.extend(entries(body.take_list("messages")).map(message));
    reading.tools = tools::definitions(body.take_list("tools"));
    reading.parameters.append(&mut body);
}

fn message(value: Value) -> Message {
    match value {
        Value::Object(mut message) => {
            let role = Role::from_word(&message.take_string("role").unwrap_or_default());
            Message::new(role, message.remove("content").map(blocks::parts).unwrap_or_default())
        }
        Value::String(text) => Message::text(Role::User, text),
        value => Message::new(Role::User, vec![Part::Other { value }]),
    }
}
