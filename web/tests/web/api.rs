//! What the REST API promises.

use std::io::Write as _;

use verbatim_core::model::{ChunkTime, Leg, Outcome, RecordMode, Timeline};
use verbatim_testkit::ExchangeBuilder;

use crate::client::{Site, chat};

#[tokio::test]
async fn a_list_is_paged_by_cursor_newest_first() {
    let site = Site::new().await;
    let ids: Vec<String> =
        (0..25).map(|at| site.add(chat(&format!("question {at}"), "ok")).to_string()).collect();
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = site.json(&format!("/api/v1/exchanges?limit=10&cursor={cursor}")).await;
        assert_eq!(page["approximate_total"], 25);
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ids.into_iter().rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_wrong_query_is_told_with_the_spot() {
    let site = Site::new().await;
    let response = site.get("/api/v1/exchanges?q=%E5%A4%A9%E6%B0%94%20statsu%3A200").await;
    assert_eq!(response.status(), 400);
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "bad_query");
    assert_eq!(body["error"]["spot"]["text"], "statsu");
    assert_eq!(body["error"]["spot"]["start"], 3);
    assert!(body["error"]["message"].as_str().unwrap().contains("status"));
}

#[tokio::test]
async fn wrong_parameters_are_told() {
    let site = Site::new().await;
    for path in [
        "/api/v1/exchanges?limit=0",
        "/api/v1/exchanges?limit=x",
        "/api/v1/exchanges?cursor=x",
        "/api/v1/exchanges/x",
        "/api/v1/stats?hours=-1",
        "/api/v1/export?format=xlsx",
    ] {
        assert_eq!(site.get(path).await.status(), 400, "{path}");
    }
    let cursor: serde_json::Value = site.get("/api/v1/exchanges?cursor=zzz").await.json().await.unwrap();
    assert!(cursor["error"]["message"].as_str().unwrap().contains("`cursor`"));
    let absent = "/api/v1/exchanges/0193a4c2-7b1e-7f02-9c1d-5a0b6c1f2e77";
    for path in [
        absent.to_owned(),
        format!("{absent}/timeline"),
        format!("{absent}/conversation"),
        format!("{absent}/legs/client_request"),
        "/api/v1/nothing".to_owned(),
    ] {
        assert_eq!(site.get(&path).await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn words_are_found_by_the_index_and_highlighted() {
    let site = Site::new().await;
    let id = site.add(chat("明天上海的天气怎么样", "多云"));
    site.add(chat("something else", "ok"));
    let page = site.json("/api/v1/exchanges?q=%E5%A4%A9%E6%B0%94").await;
    assert_eq!(page["answered_by"], "search_index");
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["id"], id.to_string());
    let fragments = items[0]["highlights"][0]["fragments"].as_array().unwrap();
    let hits: Vec<_> = fragments.iter().filter(|fragment| fragment["hit"] == true).collect();
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0]["text"], "天气");
}

#[tokio::test]
async fn filters_alone_are_answered_by_the_archive() {
    let site = Site::new().await;
    site.add(chat("a", "b"));
    let failed = site.add(chat("c", "d").with(|exchange| exchange.outcome = Outcome::TimedOut));
    site.world.index.down.set(true);
    let page = site.json("/api/v1/exchanges?q=outcome%3Atimed_out").await;
    assert_eq!(page["answered_by"], "archive");
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["id"], failed.to_string());
    assert!(page["notices"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn without_the_index_filters_still_work_and_the_answer_says_so() {
    for index in [true, false] {
        let site = Site::with(|_, ports| {
            if !index {
                ports.index = None;
            }
        })
        .await;
        site.world.index.down.set(true);
        site.add(chat("天气", "b").with(|exchange| exchange.provider = "other".to_owned()));
        let id = site.add(chat("天气", "b"));
        let page = site.json("/api/v1/exchanges?q=%E5%A4%A9%E6%B0%94%20provider%3Aopenai").await;
        assert_eq!(page["notices"][0]["code"], "search_unavailable");
        assert_eq!(page["items"].as_array().unwrap().len(), 1);
        assert_eq!(page["items"][0]["id"], id.to_string());
        let html = site.page("/exchanges?q=%E5%A4%A9%E6%B0%94").await;
        assert!(html.contains("Word search is not available"), "{html}");
    }
}

#[tokio::test]
async fn in_all_looks_through_bodies_within_a_time_range() {
    let site = Site::with(|_, ports| ports.index = None).await;
    let id = site.add(ExchangeBuilder::minted().request("{\"user\": \"\\u5929\\u6c14 Z\"}"));
    site.add(chat("nothing of it", "y"));
    let page = site.json("/api/v1/exchanges?q=in%3Aall%20%E5%A4%A9%E6%B0%94").await;
    assert_eq!(page["answered_by"], "bodies");
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["id"], id.to_string());
    assert_eq!(page["items"][0]["highlights"][0]["field"], "request");
    assert_eq!(page["notices"][0]["code"], "scan_limited");
}

#[tokio::test]
async fn with_the_archive_down_answers_say_so() {
    let site = Site::new().await;
    site.world.archive.down.set(true);
    let response = site.get("/api/v1/exchanges").await;
    assert_eq!(response.status(), 503);
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "unavailable");
    assert_eq!(site.get("/exchanges").await.status(), 503);
    assert_eq!(site.get("/").await.status(), 200);
    assert_eq!(site.get("/readyz").await.status(), 503);
    assert_eq!(site.get("/livez").await.status(), 200);
    let health = site.json("/api/v1/health/pipeline").await;
    assert_eq!(health["status"], "degraded");
    assert!(health["archive"].is_null());
}

#[tokio::test]
async fn a_leg_is_served_byte_for_byte_under_both_names_and_can_not_run() {
    let site = Site::new().await;
    let body: Vec<u8> = (0..200_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let id = site.add(
        ExchangeBuilder::minted()
            .with_heads(|heads| {
                if let Some(response) = &mut heads.response {
                    response.headers.0.clear();
                    response.headers.push("content-type", "text/html; charset=utf-8");
                }
            })
            .response(body.clone()),
    );
    for name in ["client_response", "upstream_response"] {
        let response = site.get(&format!("/api/v1/exchanges/{id}/legs/{name}")).await;
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        assert_eq!(headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert!(headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
        assert!(headers["content-security-policy"].to_str().unwrap().contains("sandbox"));
        assert_eq!(headers["x-verbatim-blake3"], blake3::hash(&body).to_hex().as_str());
        assert_eq!(response.bytes().await.unwrap(), body);
    }
    let path = format!("/api/v1/exchanges/{id}/legs/client_response");
    assert_eq!(site.get_with(&path, &[("sec-fetch-dest", "script")]).await.status(), 403);
    assert_eq!(site.get(&format!("/api/v1/exchanges/{id}/legs/client_request")).await.status(), 404);
    assert_eq!(site.get(&format!("/api/v1/exchanges/{id}/legs/else")).await.status(), 400);
}

#[tokio::test]
async fn a_compressed_leg_is_served_as_it_was_and_decoded_when_asked() {
    let site = Site::new().await;
    let plain = br#"{"choices":[{"index":0,"message":{"role":"assistant","content":"compressed"}}]}"#;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    let packed = encoder.finish().unwrap();
    let id = site.add(
        ExchangeBuilder::minted()
            .with_heads(|heads| {
                if let Some(response) = &mut heads.response {
                    response.headers.push("content-encoding", "gzip");
                }
            })
            .response(packed.clone()),
    );
    let path = format!("/api/v1/exchanges/{id}/legs/client_response");
    let response = site.get(&path).await;
    assert!(response.headers().get("content-encoding").is_none());
    assert_eq!(response.headers()["x-verbatim-content-encoding"], "gzip");
    let first = site.json(&format!("/api/v1/exchanges/{id}")).await;
    assert_eq!(first["id"], id.to_string());
    assert_eq!(site.get(&format!("{path}?decoded=1")).await.bytes().await.unwrap(), plain.as_slice());
}

#[tokio::test]
async fn a_conversation_has_one_shape() {
    let site = Site::new().await;
    let id = site.add(chat("how are you", "**fine**"));
    let conversation = site.json(&format!("/api/v1/exchanges/{id}/conversation")).await;
    assert_eq!(conversation["messages"][0]["role"], "user");
    assert_eq!(conversation["messages"][0]["parts"][0]["type"], "text");
    assert_eq!(conversation["choices"][0]["parts"][0]["text"], "**fine**");
    assert_eq!(conversation["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn a_timeline_tells_each_chunk() {
    let site = Site::new().await;
    let chunks = vec![ChunkTime { offset: 0, at_us: 10 }, ChunkTime { offset: 4, at_us: 30 }];
    let id = site.add(ExchangeBuilder::minted().body(Leg::ClientResponse, "abcdefg", Timeline { chunks }));
    let timeline = site.json(&format!("/api/v1/exchanges/{id}/timeline")).await;
    let chunks = &timeline["legs"][0]["chunks"];
    assert_eq!(chunks[0], serde_json::json!({"offset": 0, "length": 4, "at_us": 10}));
    assert_eq!(chunks[1], serde_json::json!({"offset": 4, "length": 3, "at_us": 30}));
}

#[tokio::test]
async fn a_damaged_body_is_told_and_the_rest_is_shown() {
    let site = Site::new().await;
    let id = site.add(chat("a", "b"));
    *site.world.archive.damaged.lock().unwrap() = Some(id);
    assert_eq!(site.get(&format!("/api/v1/exchanges/{id}/legs/client_request")).await.status(), 500);
    assert_eq!(site.get(&format!("/api/v1/exchanges/{id}")).await.status(), 200);
    let html = site.page(&format!("/exchanges/{id}?tab=raw")).await;
    assert!(html.contains("do not match their hash"));
    assert_eq!(site.get(&format!("/exchanges/{id}")).await.status(), 200);
}

#[tokio::test]
async fn what_was_not_recorded_is_said_to_be_so() {
    let site = Site::new().await;
    let id = site.add(ExchangeBuilder::minted().with(|exchange| exchange.record = RecordMode::Meta));
    assert!(site.page(&format!("/exchanges/{id}")).await.contains("were not recorded"));
}

#[tokio::test]
async fn sums_are_told_for_all_for_models_and_over_time() {
    let site = Site::new().await;
    for _ in 0..3 {
        site.add(chat("a", "b"));
    }
    site.add(chat("a", "b").with(|exchange| exchange.outcome = Outcome::UpstreamAborted));
    let stats = loop {
        // What began in this very millisecond counts in the next.
        let stats = site.json("/api/v1/stats").await;
        if stats["totals"]["calls"] == 4 {
            break stats;
        }
    };
    assert_eq!(stats["totals"]["success_rate"], 0.75);
    assert_eq!(stats["totals"]["cost_micros"], 1640);
    let models = site.json("/api/v1/stats/models?hours=1").await;
    assert_eq!(models["models"][0]["totals"]["calls"], 4);
    let trends = site.json("/api/v1/stats/trends?hours=1").await;
    let points = trends["points"].as_array().unwrap();
    let calls: u64 = points.iter().map(|point| point["totals"]["calls"].as_u64().unwrap()).sum();
    assert_eq!((calls, points.len()), (4, 60));
}
