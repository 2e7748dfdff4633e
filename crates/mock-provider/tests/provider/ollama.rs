//! Ollama's endpoints have the shapes that its client reads.

use serde_json::{Value, json};

use crate::client::{Received, call, mock, post};

fn lines(received: &Received) -> Vec<Value> {
    received.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn chats_and_texts_stream_unless_told_not_to() {
    let mock = mock().await;
    let chat = json!({"model": "llama3.1", "messages": [{"role": "user", "content": "What is a mutex?"}]});
    let streamed = post(&mock, "/api/chat", "", &chat).await;
    assert_eq!(streamed.header("content-type"), Some("application/x-ndjson"));
    let lines_of = lines(&streamed);
    let (last, before) = lines_of.split_last().unwrap();
    let text: String = before.iter().map(|line| line["message"]["content"].as_str().unwrap()).collect();
    assert!(text.contains("mutex"));
    assert_eq!((&last["done"], &last["done_reason"]), (&json!(true), &json!("stop")));
    assert!(last["eval_count"].as_u64().unwrap() > 0);
    let whole = json!({"model": "llama3.1", "prompt": "What is a mutex?", "stream": false});
    let whole = post(&mock, "/api/generate", "", &whole).await.json();
    assert!(whole["response"].as_str().unwrap().contains("mutex"));
    let failed = lines(&post(&mock, "/api/chat", "error-in-stream", &chat).await);
    assert!(failed.last().unwrap()["error"].is_string());
    mock.shutdown().await;
}

#[tokio::test]
async fn tools_embeddings_and_tags_are_told() {
    let mock = mock().await;
    let tools = json!([{"type": "function", "function": {"name": "get_weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}},
    }}}]);
    let chat = json!({
        "model": "m", "stream": false, "tools": tools,
        "messages": [{"role": "user", "content": "weather in Bern?"}],
    });
    let answer = post(&mock, "/api/chat", "", &chat).await.json();
    let called = json!({"name": "get_weather", "arguments": {"city": "Bern"}});
    assert_eq!(answer["message"]["tool_calls"][0]["function"], called);
    let embedded = post(&mock, "/api/embed", "", &json!({"model": "m", "input": ["a", "b"]})).await.json();
    assert_eq!(embedded["embeddings"].as_array().unwrap().len(), 2);
    assert!(call(&mock, "GET", "/api/tags", "", b"").await.json()["models"][0]["name"].is_string());
    let wrong = post(&mock, "/api/chat", "", &json!({})).await;
    assert_eq!((wrong.status, wrong.json()), (400, json!({"error": "model is required"})));
    mock.shutdown().await;
}
