//! Chat completions and the other JSON endpoints of OpenAI have the shapes that its SDKs read.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::client::{call, chat, mock, post};

const CHAT: &str = "/v1/chat/completions";

fn weather_tool() -> Value {
    json!({"type": "function", "function": {"name": "get_weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
    }}})
}

/// What a stream's chunks say, folded by choice: text, arguments, finish reason.
fn fold(events: &[(String, Value)], choices: usize) -> Vec<(String, String, String)> {
    let mut folded = vec![(String::new(), String::new(), String::new()); choices];
    for (_, chunk) in events {
        for choice in chunk["choices"].as_array().unwrap() {
            let index = usize::try_from(choice["index"].as_u64().unwrap()).unwrap();
            let delta = &choice["delta"];
            folded[index].0.push_str(delta["content"].as_str().unwrap_or_default());
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                folded[index].1.push_str(call["function"]["arguments"].as_str().unwrap());
            }
            if let Some(reason) = choice["finish_reason"].as_str() {
                folded[index].2.push_str(reason);
            }
        }
    }
    folded
}

#[tokio::test]
async fn a_chat_is_answered_whole_with_usage() {
    let mock = mock().await;
    let mut body = chat("What is ownership?", false);
    body["n"] = 3.into();
    let received = post(&mock, CHAT, "", &body).await;
    assert_eq!((received.status, received.header("content-type")), (200, Some("application/json")));
    let answer = received.json();
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("gpt-4o")));
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 3);
    for (index, choice) in choices.iter().enumerate() {
        assert_eq!((&choice["index"], &choice["finish_reason"]), (&json!(index), &json!("stop")));
        assert!(choice["message"]["content"].as_str().unwrap().contains("ownership"));
    }
    let usage = &answer["usage"];
    let count = |key: &str| usage[key].as_u64().unwrap();
    assert_eq!(count("total_tokens"), count("prompt_tokens") + count("completion_tokens"));
    mock.shutdown().await;
}

#[tokio::test]
async fn a_streamed_chat_says_the_same_as_a_whole_one_could() {
    let mock = mock().await;
    let mut body = chat("什么是缓存？", true);
    body["n"] = 2.into();
    body["stream_options"] = json!({"include_usage": true});
    let received = post(&mock, CHAT, "chunks=12", &body).await;
    assert_eq!(received.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert!(received.text().ends_with("data: [DONE]\n\n"));
    let events = received.events();
    let (usage, chunks) = events.split_last().unwrap();
    assert_eq!(usage.1["choices"], json!([]));
    assert!(usage.1["usage"]["completion_tokens"].as_u64().unwrap() > 0);
    assert!(chunks.iter().all(|(_, chunk)| chunk["usage"].is_null() && chunk.get("usage").is_some()));
    // Each choice: a role, twelve deltas, an end.
    assert_eq!(chunks.len(), 2 * 14);
    for (text, _, finish) in fold(chunks, 2) {
        assert!(text.contains("缓存"), "{text}");
        assert_eq!(finish, "stop");
    }
    mock.shutdown().await;
}

#[tokio::test]
async fn tools_are_called_then_their_results_are_told() {
    let mock = mock().await;
    let mut body = chat("How is the weather in Lima?", false);
    body["tools"] = json!([weather_tool()]);
    let whole = post(&mock, CHAT, "", &body).await.json();
    let choice = &whole["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let tool_call = &choice["message"]["tool_calls"][0];
    assert!(tool_call["id"].as_str().unwrap().starts_with("call_"));
    assert_eq!(tool_call["function"]["name"], "get_weather");
    assert_eq!(tool_call["function"]["arguments"], r#"{"city":"Lima"}"#);
    body["stream"] = true.into();
    let folded = fold(&post(&mock, CHAT, "", &body).await.events(), 1);
    assert_eq!(folded, [(String::new(), r#"{"city":"Lima"}"#.to_owned(), "tool_calls".to_owned())]);
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(choice["message"].clone());
    messages.push(json!({"role": "tool", "tool_call_id": tool_call["id"], "content": "18 degrees"}));
    let folded = fold(&post(&mock, CHAT, "", &body).await.events(), 1);
    assert!(folded[0].0.contains("18 degrees"));
    assert_eq!(folded[0].2, "stop");
    mock.shutdown().await;
}

#[tokio::test]
async fn structure_reasoning_logprobs_and_audio_come_when_asked_for() {
    let mock = mock().await;
    let mut body = chat("Extract Ada", false);
    body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "p", "schema": {
        "type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    }}});
    let answer = post(&mock, CHAT, "", &body).await.json();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    let value: Value = serde_json::from_str(text).unwrap();
    assert!(value["name"].is_string() && value["age"].is_i64());

    let mut body = chat("Why?", true);
    body["reasoning_effort"] = "low".into();
    body["logprobs"] = true.into();
    let events = post(&mock, CHAT, "", &body).await.events();
    assert!(events.iter().any(|(_, chunk)| chunk["choices"][0]["delta"]["reasoning_content"].is_string()));
    assert!(
        events.iter().any(|(_, chunk)| chunk["choices"][0]["logprobs"]["content"][0]["token"].is_string())
    );

    let mut body = chat("Say hello", true);
    body["modalities"] = json!(["text", "audio"]);
    let streamed = post(&mock, CHAT, "", &body).await.events();
    let audio = |key: &str| -> Vec<String> {
        let parts =
            streamed.iter().filter_map(|(_, chunk)| chunk["choices"][0]["delta"]["audio"][key].as_str());
        parts.map(str::to_owned).collect()
    };
    let data: Vec<u8> = audio("data").iter().flat_map(|data| BASE64_STANDARD.decode(data).unwrap()).collect();
    assert_eq!(data.len(), audio("transcript").concat().len() * 16);
    mock.shutdown().await;
}

#[tokio::test]
async fn a_request_that_is_wrong_is_told_so() {
    let mock = mock().await;
    for (body, message) in [
        ("{", "parse the JSON body"),
        (r#"{"messages":[]}"#, "model parameter"),
        (r#"{"model":"m"}"#, "'messages'"),
        (r#"{"model":"m","messages":[]}"#, "empty array"),
    ] {
        let received = call(&mock, "POST", CHAT, "", body.as_bytes()).await;
        assert_eq!(received.status, 400);
        assert!(received.json()["error"]["message"].as_str().unwrap().contains(message), "{body}");
    }
    assert_eq!(call(&mock, "GET", CHAT, "", b"").await.status, 405);
    assert_eq!(call(&mock, "GET", "/v1/nothing", "", b"").await.status, 404);
    mock.shutdown().await;
}

#[tokio::test]
async fn completions_continue_every_prompt() {
    let mock = mock().await;
    let body = json!({"model": "m", "prompt": ["Once upon", "Hello"], "n": 2});
    let answer = post(&mock, "/v1/completions", "", &body).await.json();
    assert_eq!(answer["choices"].as_array().unwrap().len(), 4);
    let body =
        json!({"model": "m", "prompt": "Hello", "stream": true, "stream_options": {"include_usage": true}});
    let events = post(&mock, "/v1/completions", "", &body).await.events();
    let text: String = events.iter().filter_map(|(_, chunk)| chunk["choices"][0]["text"].as_str()).collect();
    assert!(!text.is_empty() && events.last().unwrap().1["usage"].is_object());
    mock.shutdown().await;
}

#[tokio::test]
async fn embeddings_are_the_same_in_both_encodings() {
    let mock = mock().await;
    let mut body = json!({"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 16});
    let floats = post(&mock, "/v1/embeddings", "", &body).await.json();
    body["encoding_format"] = "base64".into();
    let encoded = post(&mock, "/embeddings", "", &body).await.json();
    for index in 0..2 {
        let floats: Vec<f32> = serde_json::from_value(floats["data"][index]["embedding"].clone()).unwrap();
        let bytes = BASE64_STANDARD.decode(encoded["data"][index]["embedding"].as_str().unwrap()).unwrap();
        let decoded: Vec<f32> =
            bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        assert_eq!((floats.len(), &decoded), (16, &floats));
    }
    assert_eq!(floats["usage"]["prompt_tokens"], 2);
    body["dimensions"] = 1_000_000.into();
    assert_eq!(post(&mock, "/v1/embeddings", "", &body).await.status, 400);
    mock.shutdown().await;
}

#[tokio::test]
async fn models_and_moderations_are_told() {
    let mock = mock().await;
    let list = call(&mock, "GET", "/v1/models", "", b"").await.json();
    let first = list["data"][0]["id"].as_str().unwrap();
    let one = call(&mock, "GET", &format!("/v1/models/{first}"), "", b"").await.json();
    assert_eq!(one, list["data"][0]);
    assert_eq!(call(&mock, "GET", "/v1/models/none", "", b"").await.status, 404);
    let body = json!({"input": ["hello", "I will kill it"]});
    let answer = post(&mock, "/v1/moderations", "", &body).await.json();
    assert_eq!(
        (&answer["results"][0]["flagged"], &answer["results"][1]["flagged"]),
        (&json!(false), &json!(true))
    );
    mock.shutdown().await;
}
