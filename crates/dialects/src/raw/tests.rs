use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use verbatim_core::model::{Dialect, Headers, ProviderDialect};

use crate::frames::aws_event_stream::tests::message;
use crate::text::{answered, tools};
use crate::{ExchangeView, Reading, golden, read};

#[test]
fn golden_exchanges_are_read_as_before() {
    golden::check(ProviderDialect::Raw, "raw");
}

#[test]
fn bedrocks_binary_streams_are_read() {
    let frame = |kind: &str, payload: &str| {
        message(&[(":event-type", kind), (":message-type", "event")], payload.as_bytes())
    };
    let converse = [
        frame("messageStart", r#"{"role":"assistant"}"#),
        frame("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hel"}}"#),
        frame("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"lo"}}"#),
        frame(
            "contentBlockStart",
            r#"{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"t","name":"f"}}}"#,
        ),
        frame("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"a\":"}}}"#),
        frame("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"toolUse":{"input":"1}"}}}"#),
        frame("messageStop", r#"{"stopReason":"tool_use"}"#),
        frame("metadata", r#"{"usage":{"inputTokens":5,"outputTokens":3,"totalTokens":8}}"#),
    ];
    let reading = read_stream(&converse.concat());
    assert_eq!((answered(&reading).as_str(), tools(&reading).as_str()), ("Hello", r#"f {"a":1}"#));
    assert_eq!((reading.finish_reason(), reading.usage.unwrap().total()), (Some("tool_use"), Some(8)));
    assert!(reading.ended_well);

    // What a model's own language says is wrapped; an exception ends the stream.
    let inner = STANDARD.encode(r#"{"type":"completion","completion":"Hi","stop_reason":null}"#);
    let wrapped = frame("chunk", &format!(r#"{{"bytes":"{inner}"}}"#));
    let exception = [(":exception-type", "throttlingException"), (":message-type", "exception")];
    let exception = message(&exception, br#"{"message":"Too many."}"#);
    let reading = read_stream(&[wrapped, exception].concat());
    assert_eq!(answered(&reading), "Hi");
    assert_eq!(reading.error.as_ref().unwrap().line(), "throttlingException: Too many.");
    assert!(!reading.ended_well);
}

fn read_stream(body: &[u8]) -> Reading {
    let mut headers = Headers::default();
    headers.push("content-type", "application/vnd.amazon.eventstream");
    read(&ExchangeView {
        provider_dialect: ProviderDialect::Raw,
        dialect: Dialect::Raw,
        method: "POST",
        path: "/model/m/converse-stream",
        request_headers: &Headers::default(),
        request_body: b"{}",
        status: Some(200),
        response_headers: &headers,
        response_body: body,
        response_complete: true,
    })
}
