//! OpenAI's responses.

pub(crate) mod items;
mod stream;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::counting;
use crate::errors;
use crate::json::{Object, ObjectExt, entries};
use crate::language::{Fold, Language};
use crate::openai_chat::tools;
use crate::read::take_head;
use crate::reading::{Choice, Message, Reading, Role};

/// Responses.
pub(crate) struct Responses;

impl Language for Responses {
    fn request(&self, mut body: Object, reading: &mut Reading) {
        reading.model_asked = body.take_string("model");
        reading.stream_asked = body.flag("stream");
        body.remove("stream");
        match body.remove("instructions") {
            Some(Value::String(text)) => reading.messages.push(Message::text(Role::System, text)),
            Some(Value::Array(list)) => reading.messages.extend(items::messages(list)),
            _ => {}
        }
        match body.remove("input") {
            Some(Value::String(text)) => reading.messages.push(Message::text(Role::User, text)),
            Some(Value::Array(list)) => reading.messages.extend(items::messages(list)),
            _ => {}
        }
        reading.tools = tools::definitions(body.take_list("tools"));
        reading.parameters.append(&mut body);
    }

    fn document(&self, body: Object, reading: &mut Reading) {
        read_response(body, reading);
    }

    fn fold(&self) -> Box<dyn Fold> {
        Box::new(stream::ResponsesFold::default())
    }
}

/// Reads a response that came whole, or that a stream's last event repeats; a list of input items; a token count.
pub(crate) fn read_response(mut body: Object, reading: &mut Reading) {
    if body.text("object") == Some("list") {
        reading.messages.extend(items::messages(body.take_list("data")));
        return;
    }
    take_head(&mut body, reading);
    let usage = body.take_object("usage").and_then(|usage| counting::openai(&usage));
    reading.usage = usage.or_else(|| counting::openai(&body)).or(reading.usage);
    if reading.error.is_none() {
        reading.error =
            body.get("error").and_then(|error| errors::explicit(&serde_json::json!({ "error": error })));
    }
    let mut parts = Vec::new();
    entries(body.take_list("output")).for_each(|item| items::read(item, &mut parts));
    let finish_reason = finish_reason(&body);
    if let Some(tier) = body.remove("service_tier").filter(Value::is_string) {
        reading.answer.extra.insert("service_tier".into(), tier);
    }
    if !parts.is_empty() || finish_reason.is_some() {
        reading.answer.choices = vec![Choice { parts, finish_reason, ..Choice::default() }];
    }
}

/// Why it stopped: the reason why it is incomplete, else its status once it has ended.
fn finish_reason(response: &Object) -> Option<String> {
    let incomplete = response.object("incomplete_details").and_then(|details| details.text("reason"));
    let status = response.text("status").filter(|status| !matches!(*status, "in_progress" | "queued"));
    incomplete.or(status).map(str::to_owned)
}
