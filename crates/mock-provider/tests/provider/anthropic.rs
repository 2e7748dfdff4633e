//! Messages have the shapes that Anthropic's SDKs read.

use serde_json::{Value, json};

use crate::client::{call, mock, post};

const MESSAGES: &str = "/v1/messages";

fn asked(question: &str) -> Value {
    json!({"model": "claude-sonnet-4-5", "max_tokens": 1000, "messages": [{"role": "user", "content": question}]})
}

#[tokio::test]
async fn a_message_is_answered_whole() {
    let mock = mock().await;
    let answer = post(&mock, MESSAGES, "", &asked("소유권이란 무엇인가요")).await.json();
    assert_eq!((&answer["type"], &answer["stop_reason"]), (&json!("message"), &json!("end_turn")));
    assert!(answer["content"][0]["text"].as_str().unwrap().contains("소유권"));
    assert!(answer["usage"]["output_tokens"].as_u64().unwrap() > 1);
    let mut wrong = asked("?");
    wrong.as_object_mut().unwrap().remove("max_tokens");
    let refused = post(&mock, MESSAGES, "", &wrong).await;
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (400, &json!("invalid_request_error")));
    mock.shutdown().await;
}

#[tokio::test]
async fn a_stream_has_thinking_text_and_pings() {
    let mock = mock().await;
    let mut body = asked("What is a trait?");
    body["stream"] = true.into();
    body["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
    let events = post(&mock, MESSAGES, "", &body).await.events();
    let of = |kind: &str| {
        events.iter().filter(|(name, _)| name == kind).map(|(_, event)| event).collect::<Vec<_>>()
    };
    assert!(events.iter().all(|(name, event)| event["type"] == *name));
    assert_eq!(events[0].0, "message_start");
    assert_eq!(events.last().unwrap().0, "message_stop");
    assert!(!of("ping").is_empty());
    assert_eq!((of("content_block_start").len(), of("content_block_stop").len()), (2, 2));
    let deltas = |key: &str| -> String {
        of("content_block_delta").iter().filter_map(|event| event["delta"][key].as_str()).collect()
    };
    assert!(deltas("thinking").contains("trait") && deltas("text").contains("trait"));
    assert!(!deltas("signature").is_empty());
    assert_eq!(of("message_delta")[0]["delta"]["stop_reason"], "end_turn");
    mock.shutdown().await;
}

#[tokio::test]
async fn tools_are_used_and_errors_come_mid_stream() {
    let mock = mock().await;
    let mut body = asked("How is the weather in Bern?");
    body["stream"] = true.into();
    body["tools"] = json!([{"name": "get_weather", "input_schema": {
        "type": "object", "properties": {"city": {"type": "string"}},
    }}]);
    let events = post(&mock, MESSAGES, "", &body).await.events();
    let json: String =
        events.iter().filter_map(|(_, event)| event["delta"]["partial_json"].as_str()).collect();
    assert_eq!(json, r#"{"city":"Bern"}"#);
    assert!(events.iter().any(|(_, event)| event["delta"]["stop_reason"] == "tool_use"));
    let failed = post(&mock, MESSAGES, "error-in-stream", &body).await.events();
    let (name, last) = failed.last().unwrap();
    assert_eq!((name.as_str(), &last["error"]["type"]), ("error", &json!("overloaded_error")));
    mock.shutdown().await;
}

#[tokio::test]
async fn marked_prefixes_are_read_from_the_cache() {
    let mock = mock().await;
    let mut body = asked("And now?");
    body["system"] =
        json!([{"type": "text", "text": "Be brief. ".repeat(2000), "cache_control": {"type": "ephemeral"}}]);
    let usage = &post(&mock, MESSAGES, "", &body).await.json()["usage"];
    let count = |key: &str| usage[key].as_u64().unwrap();
    assert!(count("cache_read_input_tokens") > 4000 && count("input_tokens") < 200, "{usage}");
    let counted = post(&mock, "/v1/messages/count_tokens", "", &body).await.json();
    assert_eq!(counted["input_tokens"], count("cache_read_input_tokens") + count("input_tokens"));
    mock.shutdown().await;
}

#[tokio::test]
async fn models_are_told_in_anthropics_shape() {
    let mock = mock().await;
    let version = "anthropic-version: 2023-06-01\r\n";
    let list = call(&mock, "GET", "/v1/models", version, b"").await.json();
    assert_eq!((&list["data"][0]["type"], &list["has_more"]), (&json!("model"), &json!(false)));
    let missing = call(&mock, "GET", "/v1/models/none", version, b"").await;
    assert_eq!((missing.status, &missing.json()["error"]["type"]), (404, &json!("not_found_error")));
    mock.shutdown().await;
}
