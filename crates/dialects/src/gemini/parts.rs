//! Gemini's parts, in camelCase as documented and in snake_case as also accepted.

use serde_json::{Value, json};

use crate::json::{Object, ObjectExt, entries, to_text};
use crate::reading::{Audio, Media, Part, Reasoning, Text, ToolCall, ToolResult};

/// Reads parts. Unknown kinds stay as they are.
pub(crate) fn parts(list: Vec<Value>) -> Vec<Part> {
    entries(list)
        .map(|value| match value {
            Value::Object(part) => self::part(part),
            Value::String(text) => Part::text(text),
            value => Part::Other { value },
        })
        .collect()
}

fn take_either(object: &mut Object, camel: &str, snake: &str) -> Option<Object> {
    object.take_object(camel).or_else(|| object.take_object(snake))
}

/// Reads a part.
pub(crate) fn part(mut part: Object) -> Part {
    let signature = part.take_string("thoughtSignature").or_else(|| part.take_string("thought_signature"));
    if let Some(text) = part.take_string("text") {
        return if part.flag("thought") {
            Part::Reasoning(Reasoning { text, signature, encrypted: None })
        } else {
            Part::Text(Text { text, signature, citations: Vec::new() })
        };
    }
    if let Some(mut call) = take_either(&mut part, "functionCall", "function_call") {
        return Part::ToolCall(ToolCall {
            id: call.take_string("id"),
            name: call.take_string("name").unwrap_or_default(),
            arguments: call.get("args").map_or_else(|| "{}".to_owned(), to_text),
            by_provider: false,
            signature,
        });
    }
    if let Some(mut response) = take_either(&mut part, "functionResponse", "function_response") {
        return Part::ToolResult(function_response(&mut response));
    }
    if let Some(mut data) = take_either(&mut part, "inlineData", "inline_data") {
        let media_type = mime_type(&mut data);
        return media(Media { media_type, data: data.take_string("data"), ..Media::default() });
    }
    if let Some(mut file) = take_either(&mut part, "fileData", "file_data") {
        let media_type = mime_type(&mut file);
        let url = file.take_string("fileUri").or_else(|| file.take_string("file_uri"));
        return media(Media { media_type, url, ..Media::default() });
    }
    if let Some(code) = take_either(&mut part, "executableCode", "executable_code") {
        return Part::ToolCall(ToolCall {
            name: "code_execution".into(),
            arguments: to_text(&Value::Object(code)),
            by_provider: true,
            signature,
            ..ToolCall::default()
        });
    }
    if let Some(mut result) = take_either(&mut part, "codeExecutionResult", "code_execution_result") {
        let is_error = result.text("outcome").is_some_and(|outcome| outcome != "OUTCOME_OK");
        let parts = result.take_string("output").map(Part::text).into_iter().collect();
        return Part::ToolResult(ToolResult {
            name: Some("code_execution".into()),
            parts,
            is_error,
            call_id: None,
        });
    }
    if let Some(signature) = signature {
        // A signature may come alone, behind the text that it signs.
        return Part::Text(Text { signature: Some(signature), ..Text::default() });
    }
    Part::Other { value: Value::Object(part) }
}

fn function_response(response: &mut Object) -> ToolResult {
    let result = response.remove("response").unwrap_or_default();
    let is_error = result.get("error").is_some_and(|error| !error.is_null());
    // By convention a plain text is wrapped in `result` or `output`.
    let text = match &result {
        Value::Object(object) if object.len() == 1 => {
            ["result", "output", "content", "error"].iter().find_map(|key| object.get(*key)?.as_str())
        }
        _ => None,
    };
    let mut parts = vec![Part::text(text.map_or_else(|| to_text(&result), str::to_owned))];
    parts.extend(self::parts(response.take_list("parts")));
    ToolResult { call_id: response.take_string("id"), name: response.take_string("name"), parts, is_error }
}

fn mime_type(data: &mut Object) -> Option<String> {
    data.take_string("mimeType").or_else(|| data.take_string("mime_type"))
}

/// What kind of part a medium is.
pub(crate) fn media(media: Media) -> Part {
    match media.media_type.as_deref().and_then(|kind| kind.split('/').next()) {
        Some("image") => Part::Image(media),
        Some("audio") => Part::Audio(Audio { media, ..Audio::default() }),
        Some("video") => Part::Video(media),
        _ => Part::File(media),
    }
}

/// A reason as its word. Vertex, asked for numbers, tells enums so; these five mean the same in all its versions.
pub(crate) fn finish_reason(reason: &Value) -> Option<String> {
    match reason.as_u64() {
        Some(1) => Some("STOP".into()),
        Some(2) => Some("MAX_TOKENS".into()),
        Some(3) => Some("SAFETY".into()),
        Some(4) => Some("RECITATION".into()),
        Some(5) => Some("OTHER".into()),
        _ if *reason == json!("FINISH_REASON_UNSPECIFIED") || *reason == json!(0) => None,
        _ => crate::json::word(reason),
    }
}
