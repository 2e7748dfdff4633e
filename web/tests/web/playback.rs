//! What the playback of an answer promises.

use serde_json::{Value, json};
use verbatim_core::model::{ChunkTime, Leg, Timeline};
use verbatim_testkit::ExchangeBuilder;

use crate::client::{Site, chat};

/// A stream of these pieces, a chunk each, ten milliseconds apart.
fn streamed(pieces: &[Value]) -> ExchangeBuilder {
    let (mut body, mut chunks) = (String::new(), Vec::new());
    for (at, delta) in pieces.iter().enumerate() {
        chunks.push(ChunkTime { offset: body.len() as u64, at_us: 10_000 * (at as u64 + 1) });
        let event = json!({"id": "1", "object": "chat.completion.chunk", "model": "gpt-4o",
            "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
        body.push_str(&format!("data: {event}\n\n"));
    }
    ExchangeBuilder::minted()
        .request(json!({"model": "gpt-4o", "stream": true, "messages": []}).to_string())
        .with(|exchange| {
            exchange.streamed = true;
            exchange.duration_us = Some(2_000_000);
        })
        .with_heads(|heads| {
            if let Some(head) = &mut heads.response {
                head.headers = verbatim_core::model::Headers::default();
                head.headers.push("content-type", "text/event-stream");
            }
        })
        .body(Leg::ClientResponse, body, Timeline { chunks })
}

#[tokio::test]
async fn an_answer_is_played_chunk_by_chunk() {
    let site = Site::new().await;
    let id = site.add(streamed(&[
        json!({"role": "assistant", "reasoning_content": "The sky"}),
        json!({"reasoning_content": " looks grey."}),
        json!({"content": "多云"}),
        json!({"content": "转"}),
        json!({"content": "晴<script>pwned()</script>"}),
    ]));
    let played = site.json(&format!("/api/v1/exchanges/{id}/playback")).await;
    assert_eq!(played["duration_us"], 2_000_000);
    assert_eq!(played["chunks_us"], json!([10_000, 20_000, 30_000, 40_000, 50_000]));
    assert_eq!((&played["grouped"], &played["cut"]), (&json!(false), &json!(false)));
    let steps: Vec<Value> = played["steps"].as_array().unwrap().clone();
    let came = |step: &Value| (step["at_us"].as_u64().unwrap(), step["text"].as_str().unwrap().to_owned());
    let text: Vec<_> = steps.iter().filter(|step| step["kind"] == "text").map(came).collect();
    let reasoning: Vec<_> = steps.iter().filter(|step| step["kind"] == "reasoning").map(came).collect();
    assert_eq!(reasoning, [(10_000, "The sky".into()), (20_000, " looks grey.".into())]);
    assert_eq!(
        text,
        [(30_000, "多云".into()), (40_000, "转".into()), (50_000, "晴<script>pwned()</script>".into())]
    );
    assert!(steps.iter().all(|step| step["replaces"] == false));
    let page = site.page(&format!("/exchanges/{id}?tab=timeline")).await;
    assert!(page.contains(&format!("data-playback=\"/api/v1/exchanges/{id}/playback\"")));
}

#[tokio::test]
async fn an_answer_of_many_chunks_is_played_whole_and_soon() {
    let site = Site::new().await;
    let pieces: Vec<Value> = (0..20_000).map(|at| json!({"content": format!("word{at} ")})).collect();
    let id = site.add(streamed(&pieces));
    let played = site.json(&format!("/api/v1/exchanges/{id}/playback")).await;
    assert_eq!(played["grouped"], true);
    let steps = played["steps"].as_array().unwrap();
    assert!(steps.len() > 10, "{}", steps.len());
    let text: String = steps.iter().map(|step| step["text"].as_str().unwrap()).collect();
    assert_eq!(text, (0..20_000).map(|at| format!("word{at} ")).collect::<String>());
}

#[tokio::test]
async fn what_came_at_once_has_no_player() {
    let site = Site::new().await;
    let id = site.add(chat("q", "a"));
    assert!(!site.page(&format!("/exchanges/{id}?tab=timeline")).await.contains("data-playback"));
    assert_eq!(site.get("/api/v1/exchanges/x/playback").await.status(), 400);
    let unknown = verbatim_core::model::ExchangeId::mint();
    assert_eq!(site.get(&format!("/api/v1/exchanges/{unknown}/playback")).await.status(), 404);
}
