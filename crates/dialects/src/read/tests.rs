use std::io::Write;

use proptest::prelude::*;
use verbatim_core::model::ProviderDialect;

use super::*;
use crate::reading::Part;
use crate::text::answered;

/// An answer to a streamed chat completion, to be varied.
struct Answer {
    status: u16,
    headers: Headers,
    body: Vec<u8>,
    complete: bool,
}

impl Answer {
    fn sse(body: impl Into<Vec<u8>>) -> Self {
        let mut headers = Headers::default();
        headers.push("content-type", "text/event-stream");
        Self { status: 200, headers, body: body.into(), complete: true }
    }

    fn json(status: u16, body: &str) -> Self {
        let mut headers = Headers::default();
        headers.push("content-type", "application/json");
        Self { status, headers, body: body.into(), complete: true }
    }

    fn encoded(mut self, encoding: &'static str, encode: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        self.headers.push("content-encoding", encoding);
        self.body = encode(&self.body);
        self
    }

    fn read(&self) -> Reading {
        self.read_to(
            "/v1/chat/completions",
            br#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#,
        )
    }

    fn read_to(&self, path: &str, request: &[u8]) -> Reading {
        read(&ExchangeView {
            provider_dialect: ProviderDialect::Openai,
            dialect: detect(ProviderDialect::Openai, "POST", path),
            method: "POST",
            path,
            request_headers: &Headers::default(),
            request_body: request,
            status: Some(self.status),
            response_headers: &self.headers,
            response_body: &self.body,
            response_complete: self.complete,
        })
    }
}

fn chunk(text: &str) -> String {
    format!(r#"data: {{"id":"c","model":"m","choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#)
}

const END: &str = r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

fn stream(line_end: &str) -> String {
    [&chunk("日本"), &chunk("語🎉"), END, "data: [DONE]"]
        .map(|line| format!("{line}{line_end}{line_end}"))
        .concat()
}

fn is_whole(reading: &Reading) -> bool {
    answered(reading) == "日本語🎉"
        && reading.finish_reason() == Some("stop")
        && reading.usage.and_then(|usage| usage.total()) == Some(5)
        && reading.ended_well
}

#[test]
fn a_stream_is_read_whatever_its_line_ends_and_with_a_byte_order_mark() {
    for line_end in ["\n", "\r\n", "\r"] {
        assert!(is_whole(&Answer::sse(stream(line_end)).read()), "{line_end:?}");
        assert!(is_whole(&Answer::sse(format!("\u{feff}{}", stream(line_end))).read()), "{line_end:?}");
    }
}

#[test]
fn keep_alives_and_a_doubled_done_change_nothing() {
    let body = format!(
        ": hello\n\ndata:\n\ndata: :ping\n\nevent: ping\ndata: ping\n\n{}data: [DONE]\n\n",
        stream("\n")
    );
    let reading = Answer::sse(body).read();
    assert!(is_whole(&reading) && reading.error.is_none() && reading.notes.is_empty());
}

#[test]
fn a_frame_over_several_data_lines_is_one() {
    let spread = stream("\n").replace(r#","choices""#, "\ndata: ,\"choices\"");
    assert!(is_whole(&Answer::sse(spread).read()));
}

#[test]
fn a_stream_under_a_wrong_type_is_read_as_what_it_is() {
    let mut answer = Answer::sse(stream("\n"));
    answer.headers = Headers::default();
    answer.headers.push("content-type", "application/json");
    assert!(is_whole(&answer.read()));
}

#[test]
fn an_unterminated_last_event_counts_and_is_noted() {
    let body = format!("{}\n\n{}\n\n{END}", chunk("日本"), chunk("語🎉"));
    let reading = Answer::sse(body).read();
    assert!(is_whole(&reading));
    assert_eq!(reading.notes, ["the last event is not ended by an empty line"]);
}

#[test]
fn every_encoding_is_read_and_the_first_token_is_told_by_its_bytes_on_the_wire() {
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        // As a provider does: each frame is flushed by itself.
        for frame in bytes.split_inclusive(|byte| *byte == b'\n') {
            encoder.write_all(frame).unwrap();
            encoder.flush().unwrap();
        }
        encoder.finish().unwrap()
    };
    let br = |bytes: &[u8]| {
        let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
        encoder.write_all(bytes).unwrap();
        encoder.into_inner()
    };
    let zstd = |bytes: &[u8]| zstd::stream::encode_all(bytes, 3).unwrap();
    let plain = Answer::sse(stream("\n"));
    assert_eq!(plain.read().first_token_offset, Some(chunk("日本").len() as u64 - 1));
    for answer in [
        Answer::sse(stream("\n")).encoded("gzip", gzip),
        Answer::sse(stream("\n")).encoded("br", br),
        Answer::sse(stream("\n")).encoded("zstd", zstd),
    ] {
        let reading = answer.read();
        assert!(is_whole(&reading) && reading.notes.is_empty(), "{:?}", reading.notes);
        assert!(reading.first_token_offset.unwrap() < answer.body.len() as u64);
    }
    // Flushed frame by frame, the first token is readable long before the end.
    let answer = Answer::sse(stream("\n")).encoded("gzip", gzip);
    assert!(answer.read().first_token_offset.unwrap() < answer.body.len() as u64 / 2);
}

#[test]
fn a_compressed_stream_that_broke_off_is_read_up_to_there() {
    let mut answer = Answer::sse(stream("\n")).encoded("zstd", |bytes| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.write_all(&bytes[..chunk("日本").len() + 2]).unwrap();
        encoder.flush().unwrap();
        encoder.get_ref().clone()
    });
    answer.complete = false;
    let reading = answer.read();
    assert_eq!((answered(&reading).as_str(), reading.usage, reading.ended_well), ("日本", None, false));
    assert_eq!(reading.notes, ["response: the body ends inside its zstd encoding"]);
}

#[test]
fn a_broken_off_streams_usage_is_unknown_never_zero() {
    let interim =
        chunk("Hi").replace(r#""model""#, r#""usage":{"prompt_tokens":7,"completion_tokens":0},"model""#);
    let mut answer = Answer::sse(format!("{interim}\n\n"));
    answer.complete = false;
    let usage = answer.read().usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.total_tokens), (Some(7), None, None));
    // One that broke off behind its end is whole.
    answer.body = stream("\n").into_bytes();
    assert!(is_whole(&answer.read()));
}

#[test]
fn characters_that_are_not_utf8_never_break_a_stream() {
    let mut body = stream("\n").into_bytes();
    let at = body.iter().position(|byte| *byte == 0xe6).unwrap();
    body[at] = 0xff;
    let reading = Answer::sse(body).read();
    assert!(
        answered(&reading).ends_with("語🎉") && answered(&reading).contains('\u{fffd}') && reading.ended_well
    );
}

#[test]
fn server_errors_are_errors_with_any_body() {
    for status in [500, 502, 503, 504, 529] {
        let reading = Answer::json(status, r#"{"error":{"message":"Down.","type":"server_error"}}"#).read();
        assert_eq!(reading.error.unwrap().line(), "server_error: Down.");
        assert!(!reading.ended_well);
        assert_eq!(
            Answer::json(status, "").read().error.unwrap().message,
            format!("the provider answered {status} without a body")
        );
        let page = Answer::json(status, "<html><body>Down</body></html>").read();
        assert_eq!(page.error.unwrap().message, "Down");
        // An error told as an event, with the status saying so too.
        let event =
            Answer { status, ..Answer::sse("event: error\ndata: {\"error\":{\"message\":\"Down.\"}}\n\n") };
        assert_eq!(event.read().error.unwrap().message, "Down.");
    }
}

#[test]
fn an_error_that_is_no_json_inside_a_stream_is_told() {
    let reading = Answer::sse(format!("{}\n\nevent: error\ndata: upstream died\n\n", chunk("Hi"))).read();
    assert_eq!(reading.error.unwrap().message, "upstream died");
    assert!(!reading.ended_well);
}

#[test]
fn a_cut_document_is_noted() {
    let mut answer = Answer::json(200, r#"{"id":"c","choices":[{"index":0,"message":{"content":"He"#);
    answer.complete = false;
    let reading = answer.read();
    assert_eq!(reading.notes, ["the answer's body is not whole JSON"]);
    assert!(!reading.ended_well && reading.usage.is_none() && reading.error.is_none());
}

#[test]
fn an_answer_that_never_came_is_read_too() {
    let headers = Headers::default();
    let reading = read(&ExchangeView {
        provider_dialect: ProviderDialect::Openai,
        dialect: Dialect::OpenaiChat,
        method: "POST",
        path: "/v1/chat/completions",
        request_headers: &headers,
        request_body: br#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#,
        status: None,
        response_headers: &headers,
        response_body: b"",
        response_complete: false,
    });
    assert_eq!((reading.model_asked.as_deref(), reading.ended_well, reading.error), (Some("m"), false, None));
}

#[test]
fn a_compressed_request_is_read() {
    let mut headers = Headers::default();
    headers.push("content-encoding", "zstd");
    let body =
        zstd::stream::encode_all(&br#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#[..], 3)
            .unwrap();
    let reading = read(&ExchangeView {
        provider_dialect: ProviderDialect::Openai,
        dialect: Dialect::OpenaiChat,
        method: "POST",
        path: "/v1/chat/completions",
        request_headers: &headers,
        request_body: &body,
        status: None,
        response_headers: &Headers::default(),
        response_body: b"",
        response_complete: false,
    });
    assert_eq!(reading.messages[0].parts, [Part::text("Hi")]);
}

#[test]
fn deep_nesting_does_no_harm() {
    let deep = format!("{{\"choices\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(Answer::json(200, &deep).read().notes, ["the answer's body is not whole JSON"]);
    let _ = Answer::sse(format!("data: {deep}\n\n")).read();
    let _ = Answer::json(200, "{}").read_to("/v1/chat/completions", deep.as_bytes());
}

proptest! {
    #[test]
    fn garbage_of_every_shape_is_read_without_panic(
        path in prop::sample::select(vec![
            "/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/embeddings", "/v1/messages", "/api/chat",
            "/v1beta/models/g:streamGenerateContent", "/v1beta/interactions", "/v1/images/edits", "/v1/realtime", "/model/x/converse-stream",
        ]),
        provider in prop::sample::select(ProviderDialect::ALL),
        status in prop::sample::select(vec![101u16, 200, 400, 500]),
        words in proptest::collection::vec(prop::sample::select(vec![
            "data: ", "event: error", "\n", "\n\n", "\r", "{", "}", "[", "]", ":", ",", "\"", "null", "7", "-1", "1e99", "true", "\u{feff}",
            "\"choices\":", "\"delta\":", "\"content\":", "\"tool_calls\":", "\"index\":", "\"usage\":", "\"error\":", "\"type\":",
            "\"message\":", "\"response\":", "\"output\":", "\"item\":", "\"candidates\":", "\"parts\":", "\"model\":", "\"input\":",
            "{\"choices\":[{\"delta\":", "{\"type\":\"content_block_delta\",\"index\":4294967296,\"delta\":",
            "{\"type\":\"response.output_text.delta\",\"output_index\":18446744073709551615,\"content_index\":99999999,\"delta\":\"x\"}",
            "{\"type\":\"response.reasoning_summary_text.delta\",\"summary_index\":3,\"delta\":\"x\"}", "字",
        ]), 0..40),
    ) {
        let body = words.concat();
        let headers = Headers::default();
        let reading = read(&ExchangeView {
            provider_dialect: provider,
            dialect: detect(provider, "POST", path),
            method: "POST",
            path,
            request_headers: &headers,
            request_body: body.as_bytes(),
            status: Some(status),
            response_headers: &headers,
            response_body: body.as_bytes(),
            response_complete: true,
        });
        let _ = crate::text::search_texts(&reading);
        prop_assert!(serde_json::to_string(&reading).is_ok());
    }
}
