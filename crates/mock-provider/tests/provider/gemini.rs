//! Gemini's endpoints have the shapes that its SDKs read.

use serde_json::{Value, json};

use crate::client::{call, mock, post};

const MODEL: &str = "/v1beta/models/gemini-2.5-flash";

fn asked(question: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": question}]}]})
}

fn text_of(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["candidates"][0]["content"]["parts"][0]["text"].as_str()).collect()
}

#[tokio::test]
async fn content_is_generated_whole_with_usage() {
    let mock = mock().await;
    let mut body = asked("What is a lock?");
    body["generationConfig"] = json!({"candidateCount": 2, "thinkingConfig": {"includeThoughts": true}});
    let answer = post(&mock, &format!("{MODEL}:generateContent"), "", &body).await.json();
    assert_eq!(answer["candidates"].as_array().unwrap().len(), 2);
    let parts = &answer["candidates"][1]["content"]["parts"];
    assert_eq!((&parts[0]["thought"], parts[1].get("thought")), (&json!(true), None));
    let usage = &answer["usageMetadata"];
    let count = |key: &str| usage[key].as_u64().unwrap();
    let sum = count("promptTokenCount") + count("candidatesTokenCount") + count("thoughtsTokenCount");
    assert_eq!(count("totalTokenCount"), sum);
    mock.shutdown().await;
}

#[tokio::test]
async fn streams_come_as_events_with_crlf_or_as_an_array() {
    let mock = mock().await;
    let target = format!("{MODEL}:streamGenerateContent");
    let events = post(&mock, &format!("{target}?alt=sse"), "", &asked("日本の首都は？")).await;
    assert!(events.text().ends_with("\r\n\r\n") && !events.text().contains("[DONE]"));
    let from_events: Vec<Value> = events.events().into_iter().map(|(_, chunk)| chunk).collect();
    assert!(events.text().replace("\r\n", "").find('\n').is_none());
    let array = post(&mock, &target, "", &asked("日本の首都は？")).await;
    assert_eq!(array.header("content-type"), Some("application/json; charset=UTF-8"));
    assert!(array.chunks.len() > 2);
    let from_array: Vec<Value> = serde_json::from_slice(&array.body).unwrap();
    assert_eq!(from_array, from_events);
    assert!(text_of(&from_array).contains("日本の首都"));
    assert_eq!(from_array.last().unwrap()["candidates"][0]["finishReason"], "STOP");
    mock.shutdown().await;
}

#[tokio::test]
async fn functions_are_called_and_their_responses_are_told() {
    let mock = mock().await;
    let mut body = asked("How is the weather in Oslo?");
    body["tools"] = json!([{"functionDeclarations": [{"name": "get_weather", "parameters": {
        "type": "OBJECT", "properties": {"city": {"type": "STRING"}},
    }}]}]);
    let target = format!("{MODEL}:generateContent");
    let answer = post(&mock, &target, "", &body).await.json();
    let content = &answer["candidates"][0]["content"];
    assert_eq!(content["parts"][0]["functionCall"], json!({"name": "get_weather", "args": {"city": "Oslo"}}));
    let contents = body["contents"].as_array_mut().unwrap();
    contents.push(content.clone());
    contents.push(json!({"role": "user", "parts": [
        {"functionResponse": {"name": "get_weather", "response": {"result": "snow"}}},
    ]}));
    let told = post(&mock, &target, "", &body).await.json();
    assert!(text_of(&[told]).contains("snow"));
    mock.shutdown().await;
}

#[tokio::test]
async fn contents_are_embedded_and_counted_and_models_listed() {
    let mock = mock().await;
    let content = json!({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 8});
    let one = post(&mock, &format!("{MODEL}:embedContent"), "", &content).await.json();
    assert_eq!(one["embedding"]["values"].as_array().unwrap().len(), 8);
    let batch =
        post(&mock, &format!("{MODEL}:batchEmbedContents"), "", &json!({"requests": [content]})).await.json();
    assert_eq!(batch["embeddings"][0], one["embedding"]);
    let counted = post(&mock, &format!("{MODEL}:countTokens"), "", &asked("hello")).await.json();
    assert!(counted["totalTokens"].as_u64().unwrap() > 0);
    let models = call(&mock, "GET", "/v1beta/models", "", b"").await.json();
    assert!(models["models"][0]["name"].as_str().unwrap().starts_with("models/"));
    let wrong = post(&mock, &format!("{MODEL}:generateContent"), "", &json!({})).await;
    assert_eq!((wrong.status, &wrong.json()["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
    assert_eq!(post(&mock, &format!("{MODEL}:dream"), "", &json!({})).await.status, 404);
    mock.shutdown().await;
}
