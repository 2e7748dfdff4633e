//! Anthropic's content blocks. Unknown kinds stay as they are.

use serde_json::Value;

use crate::json::{Object, ObjectExt, entries, to_text};
use crate::openai_chat::content::{citations, media_of_url};
use crate::reading::{Media, Part, Reasoning, Text, ToolCall, ToolResult};

/// The parts of a content: a text or a list of blocks.
pub(crate) fn parts(content: Value) -> Vec<Part> {
    match content {
        Value::Null => Vec::new(),
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::String(text) => vec![Part::text(text)],
        Value::Array(list) => entries(list).map(part).collect(),
        other => vec![part(other)],
    }
}

fn part(value: Value) -> Part {
    match value {
        Value::String(text) => Part::text(text),
        Value::Object(block) => block_part(block, None),
        value => Part::Other { value },
    }
}

/// One block; where a stream told a call's input piece by piece, with that.
pub(crate) fn block_part(mut block: Object, streamed_input: Option<String>) -> Part {
    let kind = block.text("type").unwrap_or_default().to_owned();
    let known = match kind.as_str() {
        "text" => block.take_string("text").map(|text| {
            Part::Text(Text { text, citations: citations(block.take_list("citations")), signature: None })
        }),
        "thinking" => Some(Part::Reasoning(Reasoning {
            text: block.take_string("thinking").unwrap_or_default(),
            signature: block.take_string("signature").filter(|signature| !signature.is_empty()),
            encrypted: None,
        })),
        "redacted_thinking" => {
            Some(Part::Reasoning(Reasoning { encrypted: block.take_string("data"), ..Reasoning::default() }))
        }
        "tool_use" | "server_tool_use" | "mcp_tool_use" => Some(Part::ToolCall(ToolCall {
            id: block.take_string("id"),
            name: block.take_string("name").unwrap_or_default(),
            arguments: streamed_input.unwrap_or_else(|| block.get("input").map(to_text).unwrap_or_default()),
            by_provider: kind != "tool_use",
            signature: None,
        })),
        "image" => media(&mut block).map(Part::Image),
        "document" => media(&mut block).map(Part::File),
        // `tool_result`, and those of the provider's own tools: `web_search_tool_result`, `mcp_tool_result`, ...
        _ if kind.ends_with("tool_result") => Some(Part::ToolResult(tool_result(&mut block))),
        _ => None,
    };
    known.unwrap_or(Part::Other { value: Value::Object(block) })
}

fn tool_result(block: &mut Object) -> ToolResult {
    let content = block.remove("content").unwrap_or_default();
    let failed = |content: &Value| {
        content.get("type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("_tool_result_error"))
    };
    let is_error = block.flag("is_error") || failed(&content);
    ToolResult { call_id: block.take_string("tool_use_id"), name: None, parts: parts(content), is_error }
}

/// An image's or document's source: base64, an address, a stored file, or text.
fn media(block: &mut Object) -> Option<Media> {
    let mut source = block.take_object("source")?;
    let mut media = match source.text("type") {
        Some("url") => media_of_url(source.take_string("url")?),
        Some("file") => Media { file_id: source.take_string("file_id"), ..Media::default() },
        Some("base64") => Media { data: source.take_string("data"), ..Media::default() },
        Some("text") => {
            // Plain text: an address of it would hold it as it is.
            let text = source.take_string("data")?;
            Media { url: Some(format!("data:text/plain,{text}")), ..Media::default() }
        }
        _ => {
            block.insert("source".into(), Value::Object(source));
            return None;
        }
    };
    media.media_type = media.media_type.or_else(|| source.take_string("media_type"));
    media.name = block.take_string("title");
    Some(media)
}
