//! Reading for whoever wants to know what an exchange is about, not every word of it.

use crate::read::read_with;
use crate::reading::{Part, Reading};
use crate::view::ExchangeView;

/// Of each text and file in what was asked, so many bytes are kept: more than any preview, or document of the search
/// index, has of all of them.
const KEPT: usize = 256 * 1024;

/// Reads an exchange as [`read`](crate::read) does, and lets go of what is long in its messages before it reads the
/// answer: a text is kept up to 256 KiB, a picture or file only so far, too. Previews, search texts and columns come out
/// the same; [estimates](crate::estimate) take the texts' beginnings for all of them.
pub fn skim(view: &ExchangeView<'_>) -> Reading {
    read_with(view, shorten)
}

fn shorten(reading: &mut Reading) {
    for message in &mut reading.messages {
        message.parts.iter_mut().for_each(|part| reading.left_out += shorten_part(part));
    }
}

/// Cuts what is long in a part; gives how many bytes of words that cost.
fn shorten_part(part: &mut Part) -> u64 {
    match part {
        Part::Text(text) => cut(&mut text.text),
        Part::Reasoning(reasoning) => cut(&mut reasoning.text),
        Part::ToolResult(result) => result.parts.iter_mut().map(shorten_part).sum(),
        Part::Image(media) | Part::Video(media) | Part::File(media) => {
            media.data.as_mut().map(cut);
            0
        }
        Part::Audio(audio) => {
            audio.media.data.as_mut().map(cut);
            0
        }
        // Calls are the model's own words: short, and shown whole.
        Part::Refusal { .. } | Part::ToolCall(_) | Part::Other { .. } => 0,
    }
}

fn cut(text: &mut String) -> u64 {
    let left_out = text.len() - text.floor_char_boundary(KEPT);
    if left_out > 0 {
        text.truncate(text.len() - left_out);
        text.shrink_to_fit();
    }
    left_out as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use verbatim_core::model::{Headers, ProviderDialect};

    use super::*;
    use crate::reading::ToolResult;
    use crate::{detect, estimate, read, text};

    fn view<'a>(request: &'a [u8], answer: &'a [u8], headers: &'a Headers) -> ExchangeView<'a> {
        ExchangeView {
            provider_dialect: ProviderDialect::Openai,
            dialect: detect(ProviderDialect::Openai, "POST", "/v1/chat/completions"),
            method: "POST",
            path: "/v1/chat/completions",
            request_headers: headers,
            request_body: request,
            status: Some(200),
            response_headers: headers,
            response_body: answer,
            response_complete: true,
        }
    }

    fn request(messages: &Value) -> Vec<u8> {
        json!({"model": "gpt-4o", "messages": messages}).to_string().into_bytes()
    }

    const ANSWER: &[u8] = br#"{"model":"gpt-4o","choices":[{"message":{"content":"Fine."}}]}"#;

    #[test]
    fn what_is_long_is_let_go_and_everything_derived_stays() {
        let (words, file) = ("What the fox says. ".repeat(60_000), "QUJD".repeat(300_000));
        let messages = json!([
            {"role": "system", "content": words},
            {"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{file}")}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": file}},
                {"type": "input_audio", "input_audio": {"format": "wav", "data": file}},
                {"type": "text", "text": words}]},
            {"role": "tool", "tool_call_id": "1", "content": words},
        ]);
        let (request, headers) = (request(&messages), Headers::default());
        let view = view(&request, ANSWER, &headers);
        let (whole, skimmed) = (read(&view), skim(&view));
        let left_out = 3 * (words.len() - KEPT) as u64;
        assert_eq!((whole.left_out, skimmed.left_out), (0, left_out));
        assert!(serde_json::to_string(&skimmed).unwrap().len() < 7 * KEPT);
        assert_eq!(text::search_texts(&skimmed), text::search_texts(&whole));
        assert_eq!(text::asked_preview(&skimmed), text::asked_preview(&whole));
        assert_eq!(skimmed.answer, whole.answer);
        let estimated = |reading| estimate::usage(reading).unwrap().input_tokens.unwrap();
        let (exact, near) = (estimated(&whole), estimated(&skimmed));
        assert!(near.abs_diff(exact) * 50 < exact, "{near} {exact}");
    }

    #[test]
    fn a_text_is_cut_at_a_character_inside_a_tools_result_too() {
        let text = || format!("x{}", "字".repeat(KEPT));
        let result = ToolResult { parts: vec![Part::text(text())], ..ToolResult::default() };
        let mut part = Part::ToolResult(result);
        assert_eq!(shorten_part(&mut part), (text().len() - KEPT) as u64);
        let Part::ToolResult(ToolResult { parts, .. }) = part else { panic!("a result") };
        assert_eq!(parts, [Part::text(format!("x{}", "字".repeat(KEPT / 3)))]);
    }

    proptest! {
        #[test]
        fn what_is_short_is_read_alike(texts in proptest::collection::vec(".{0,40}", 0..6)) {
            let messages = texts.iter().map(|text| json!({"role": "user", "content": text})).collect();
            let (request, headers) = (request(&messages), Headers::default());
            let view = view(&request, ANSWER, &headers);
            prop_assert_eq!(skim(&view), read(&view));
        }
    }
}
