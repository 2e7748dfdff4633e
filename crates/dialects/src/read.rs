//! From bytes to a reading: what every dialect's bodies have in common.

use std::borrow::Cow;

use serde_json::Value;
use verbatim_core::model::{Dialect, Headers};

use crate::decode::{self, Decoded, Limit};
use crate::json::{self, Budget, Object, ObjectExt, Unparsed};
use crate::language::{self, Language};
use crate::reading::Reading;
use crate::view::ExchangeView;
use crate::{counting, detect, errors, multipart, openai_other, stream};

/// Reads an exchange. Total: whatever the bytes, there is a reading; what could not be read is in its notes.
pub fn read(view: &ExchangeView<'_>) -> Reading {
    read_with(view, |_| {})
}

/// The same; `asked` may change what was read of the request, before the answer is read.
pub(crate) fn read_with(view: &ExchangeView<'_>, asked: impl FnOnce(&mut Reading)) -> Reading {
    let mut reading = Reading::new(view.dialect);
    let path = detect::segments(view.path);
    if view.status == Some(101) {
        openai_other::realtime::read(view, &mut reading);
        return reading;
    }
    let language = language::of(view.dialect, &path);
    read_request(view, &*language, &mut reading);
    if reading.model_asked.is_none() {
        reading.model_asked = model_in_path(view.dialect, &path);
    }
    asked(&mut reading);
    read_response(view, &*language, &mut reading);
    if let Some(id) = request_id(view.response_headers) {
        reading.provider_request_id = Some(id);
    }
    reading
}

fn read_request(view: &ExchangeView<'_>, language: &dyn Language, reading: &mut Reading) {
    if view.request_body.is_empty() {
        return;
    }
    let Some(body) = decoded("request", view.request_headers, view.request_body, reading) else { return };
    match json::parse(&body.bytes, &Budget::new()) {
        Ok(Value::Object(request)) => language.request(request, reading),
        Ok(_) => {}
        Err(Unparsed::TooMuch) => reading.note("request: too many values to be read"),
        Err(Unparsed::NotJson) => {
            let content_type = view.request_headers.get_str("content-type").unwrap_or_default();
            match multipart::form(content_type, &body.bytes) {
                Some(form) => language.request(form, reading),
                None if view.dialect != Dialect::Raw => reading.note("the request's body is not whole JSON"),
                None => {}
            }
        }
    }
}

fn read_response(view: &ExchangeView<'_>, language: &dyn Language, reading: &mut Reading) {
    let good = view.status.is_some_and(|status| status < 400);
    let Some(body) = decoded("response", view.response_headers, view.response_body, reading) else {
        if let Some(status) = view.status.filter(|_| !good) {
            reading.error = Some(errors::of_answer(status, b"", None));
        }
        return;
    };
    let media_type = media_type(view.response_headers);
    let shape = Shape::of(&body.bytes, media_type.as_deref(), language);
    match view.status {
        None => return,
        // A stream may still tell its error as an event.
        Some(status) if !good && !matches!(shape, Shape::Sse) => {
            let json = json::parse(&body.bytes, &Budget::new()).ok();
            if let Some(Value::Object(json)) = &json {
                reading.provider_request_id = json.text("request_id").map(str::to_owned);
            }
            reading.error = Some(errors::of_answer(status, &body.bytes, json.as_ref()));
            return;
        }
        Some(_) => {}
    }
    match shape {
        Shape::Empty => reading.ended_well = view.response_complete,
        Shape::Json => read_document(view, language, &body, reading),
        Shape::Text => {
            language.text(&String::from_utf8_lossy(&body.bytes), reading);
            reading.ended_well = view.response_complete;
        }
        Shape::Binary => {
            language.binary(media_type.as_deref(), &body.bytes, reading);
            reading.ended_well = view.response_complete;
        }
        Shape::Sse | Shape::Lines | Shape::Array | Shape::AwsEventStream => {
            let end = stream::read(shape, &body, language, reading);
            let broke_off = end.is_none() || !view.response_complete || reading.error.is_some();
            if broke_off && !end.is_some_and(|end| end.terminal || end.usage_is_final) {
                reading.usage = reading.usage.and_then(counting::without_output);
            }
            let ended =
                end.is_some_and(|end| end.terminal || (!language.tells_end() && view.response_complete));
            reading.ended_well = ended && reading.error.is_none();
        }
    }
    if let Some(status) = view.status.filter(|_| !good)
        && reading.error.is_none()
    {
        reading.error = Some(errors::of_answer(status, &body.bytes, None));
        reading.ended_well = false;
    }
}

fn read_document(
    view: &ExchangeView<'_>,
    language: &dyn Language,
    body: &Decoded<'_>,
    reading: &mut Reading,
) {
    if language.document_bytes(&body.bytes, reading) {
        reading.ended_well = view.response_complete;
        return;
    }
    let document = match json::parse(&body.bytes, &Budget::new()) {
        Ok(document) => document,
        Err(Unparsed::TooMuch) => return reading.note("response: too many values to be read"),
        Err(Unparsed::NotJson) => {
            if !view.response_complete || view.dialect != Dialect::Raw {
                reading.note("the answer's body is not whole JSON");
            }
            return;
        }
    };
    reading.error = errors::inside(None, &document);
    match document {
        Value::Object(document) => language.document(document, reading),
        Value::Array(list) => reading.note(format!("the answer is a list of {}", list.len())),
        _ => {}
    }
    reading.ended_well = view.response_complete && reading.error.is_none();
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Not at all.
    Empty,
    /// One JSON value.
    Json,
    /// Server-sent events.
    Sse,
    /// A JSON value a line.
    Lines,
    /// A JSON array as a stream of its elements.
    Array,
    /// AWS's binary frames.
    AwsEventStream,
    /// Text that is none of these.
    Text,
    /// Anything else.
    Binary,
}

impl Shape {
    /// What the bytes look like counts more than what the header says: errors come under wrong types, streams too.
    fn of(bytes: &[u8], media_type: Option<&str>, language: &dyn Language) -> Self {
        let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
        if start.is_empty() {
            return Self::Empty;
        }
        if media_type == Some("application/vnd.amazon.eventstream") {
            return Self::AwsEventStream;
        }
        match start[0] {
            b'[' if language.streams_arrays() => return Self::Array,
            b'{' if is_lines(start, media_type) && language.streams_lines() => return Self::Lines,
            b'{' if is_lines(start, media_type) => return Self::Text,
            b'{' => return Self::Json,
            b'[' | b'"' if media_type != Some("text/event-stream") => return Self::Json,
            _ if start.trim_ascii_end() == b"null" => return Self::Json,
            _ => {}
        }
        let begins_sse =
            [&b"data:"[..], b"event:", b"id:", b"retry:", b":"].iter().any(|word| start.starts_with(word));
        if begins_sse || media_type == Some("text/event-stream") {
            return Self::Sse;
        }
        let is_text = media_type.is_none_or(|kind| kind.starts_with("text/") || kind.contains("json"));
        if is_text && !bytes[..bytes.len().min(1024)].contains(&0) { Self::Text } else { Self::Binary }
    }
}

/// Whether it is more than one JSON value, a line each.
fn is_lines(start: &[u8], media_type: Option<&str>) -> bool {
    if matches!(media_type, Some("application/x-ndjson" | "application/jsonl" | "application/stream+json")) {
        return true;
    }
    let Some(line) = memchr::memchr(b'\n', start) else { return false };
    let rest = start[line + 1..].trim_ascii_start();
    rest.first() == Some(&b'{') && start[..line].trim_ascii_end().last() == Some(&b'}')
        // A document printed over several lines has no whole value on its first.
        && serde_json::from_slice::<serde::de::IgnoredAny>(&start[..line]).is_ok()
}

fn decoded<'a>(
    whose: &str,
    headers: &Headers,
    bytes: &'a [u8],
    reading: &mut Reading,
) -> Option<Decoded<'a>> {
    match decode::body(headers, bytes, Limit::default()) {
        Ok(decoded) => {
            for note in &decoded.notes {
                reading.note(format!("{whose}: {note}"));
            }
            Some(decoded)
        }
        Err(error) => {
            reading.note(format!("{whose}: {error}"));
            None
        }
    }
}

fn media_type(headers: &Headers) -> Option<String> {
    let value = headers.get_str("content-type")?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// The model that a path names: Gemini's `models/x:verb`, Azure's `deployments/x`, Bedrock's `model/x`.
fn model_in_path(dialect: Dialect, path: &[Cow<'_, str>]) -> Option<String> {
    let after = |word: &str| path.windows(2).find(|pair| pair[0] == word).map(|pair| pair[1].as_ref());
    let named = after("deployments").or_else(|| after("engines")).or_else(|| match dialect {
        Dialect::Raw => after("model"),
        Dialect::Gemini | Dialect::Anthropic => after("models").filter(|name| name.contains(':')),
        Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::OpenaiOther | Dialect::Ollama => None,
    })?;
    let name = match dialect {
        Dialect::Gemini | Dialect::Anthropic => named.rsplit_once(':').map_or(named, |(name, _)| name),
        _ => named,
    };
    Some(name.to_owned())
}

/// The id under which the provider knows the call.
fn request_id(headers: &Headers) -> Option<String> {
    [
        "x-request-id",
        "request-id",
        "x-amzn-requestid",
        "apim-request-id",
        "x-goog-request-id",
        "x-generation-id",
    ]
    .iter()
    .find_map(|name| headers.get_str(name))
    .filter(|id| !id.is_empty())
    .map(str::to_owned)
}

/// Takes what every document and frame may carry: the model that served, and an id.
pub(crate) fn take_head(body: &mut Object, reading: &mut Reading) {
    if let Some(model) = body.take_string("model").filter(|model| !model.is_empty()) {
        reading.model_served = Some(model);
    }
    if let Some(id) = body.take_word("id")
        && reading.provider_request_id.is_none()
    {
        reading.provider_request_id = Some(id);
    }
}

#[cfg(test)]
mod tests;
