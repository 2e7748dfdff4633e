//! Responses have the shapes that OpenAI's SDKs read, and their streams every typed event.

use serde_json::{Value, json};

use crate::client::{mock, post};

const RESPONSES: &str = "/v1/responses";

fn kinds(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn a_stream_fills_every_item_and_ends_with_the_whole_response() {
    let mock = mock().await;
    let body =
        json!({"model": "gpt-5", "input": "什么是队列？", "stream": true, "reasoning": {"effort": "low"}});
    let events = post(&mock, RESPONSES, "", &body).await.events();
    for (place, (name, event)) in events.iter().enumerate() {
        assert_eq!((&event["type"], &event["sequence_number"]), (&json!(name), &json!(place)));
    }
    let kinds = kinds(&events);
    assert_eq!(kinds[..3], ["response.created", "response.in_progress", "response.output_item.added"]);
    for kind in [
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
    ] {
        assert!(kinds.contains(&kind), "{kind}");
    }
    assert_eq!(kinds.last(), Some(&"response.completed"));
    let deltas = events.iter().filter(|(name, _)| name == "response.output_text.delta");
    let text: String = deltas.map(|(_, event)| event["delta"].as_str().unwrap()).collect();
    let response = &events.last().unwrap().1["response"];
    assert_eq!(response["output"][0]["type"], "reasoning");
    assert_eq!(response["output"][1]["content"][0]["text"], text);
    assert!(response["usage"]["output_tokens_details"]["reasoning_tokens"].as_u64().unwrap() > 0);
    mock.shutdown().await;
}

#[tokio::test]
async fn functions_are_called_and_their_output_is_told() {
    let mock = mock().await;
    let tools = json!([{"type": "function", "name": "get_weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}},
    }}]);
    let mut body = json!({"model": "gpt-4o", "input": "What is the weather in Rome?", "tools": tools});
    let whole = post(&mock, RESPONSES, "", &body).await.json();
    let item = &whole["output"][0];
    assert_eq!((&item["type"], &item["arguments"]), (&json!("function_call"), &json!(r#"{"city":"Rome"}"#)));
    body["stream"] = true.into();
    let events = post(&mock, RESPONSES, "", &body).await.events();
    let deltas = events.iter().filter(|(name, _)| name == "response.function_call_arguments.delta");
    let arguments: String = deltas.map(|(_, event)| event["delta"].as_str().unwrap()).collect();
    assert_eq!(arguments, r#"{"city":"Rome"}"#);
    body["stream"] = false.into();
    body["input"] = json!([
        {"role": "user", "content": "What is the weather in Rome?"}, item,
        {"type": "function_call_output", "call_id": item["call_id"], "output": "rain"},
    ]);
    let told = post(&mock, RESPONSES, "", &body).await.json();
    assert!(told["output"][0]["content"][0]["text"].as_str().unwrap().contains("rain"));
    mock.shutdown().await;
}

#[tokio::test]
async fn responses_can_be_incomplete_or_fail() {
    let mock = mock().await;
    let body = json!({"model": "gpt-4o", "input": "Go on", "stream": true, "max_output_tokens": 5});
    let events = post(&mock, RESPONSES, "", &body).await.events();
    let (name, last) = events.last().unwrap();
    assert_eq!(name, "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
    assert!(last["response"]["usage"].is_object());
    let events = post(&mock, RESPONSES, "error-in-stream", &body).await.events();
    assert_eq!(kinds(&events)[events.len() - 2..], ["error", "response.failed"]);
    mock.shutdown().await;
}
