//! Shapes of the flat API with numbered pages.

use serde_json::Value;
use verbatim_core::model::Outcome;

use crate::client::{Site, chat};

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

const DETAIL: [&str; 16] = [
    "app_name",
    "duration_ms",
    "error_message",
    "headers",
    "id",
    "input_tokens",
    "method",
    "model",
    "output_tokens",
    "request_content",
    "response_content",
    "status_code",
    "timestamp",
    "total_tokens",
    "url",
    "",
];

#[tokio::test]
async fn requests_come_in_real_pages_of_twenty() {
    let site = Site::new().await;
    for at in 0..45 {
        site.add(chat(&format!("number {at}"), "ok"));
    }
    for path in ["/api/requests", "/admin/logs"] {
        let mut seen = Vec::new();
        for page in 1..=4 {
            let body = site.json(&format!("{path}?page={page}")).await;
            assert_eq!(keys(&body), ["page", "page_size", "requests", "total_count"]);
            assert_eq!((&body["page"], &body["page_size"]), (&Value::from(page), &Value::from(20)));
            assert_eq!(body["total_count"], 45);
            seen.extend(
                body["requests"].as_array().unwrap().iter().map(|row| row["request_content"].clone()),
            );
        }
        assert_eq!(seen.len(), 45);
        assert_eq!((&seen[0], &seen[44]), (&Value::from("number 44"), &Value::from("number 0")));
    }
    assert_eq!(site.get("/api/requests?page=0").await.status(), 400);
    assert_eq!(site.get("/api/requests?page=x").await.status(), 400);
}

#[tokio::test]
async fn a_search_that_is_no_query_is_plain_text() {
    let site = Site::new().await;
    site.add(chat("see https://x.example/a:b for more", "ok"));
    let body = site.json("/api/requests?search=https%3A%2F%2Fx.example%2Fa%3Ab").await;
    assert_eq!(body["total_count"], 1);
}

#[tokio::test]
async fn one_request_has_every_field_under_all_its_paths() {
    let site = Site::new().await;
    let id = site.add(chat("hello", "hi").with_heads(|heads| heads.request.headers.push("X-A", "1")));
    let mut bodies = Vec::new();
    for path in ["/api/requests", "/api/request", "/admin/logs"] {
        let body = site.json(&format!("{path}/{id}")).await;
        assert_eq!(keys(&body), DETAIL[..15]);
        bodies.push(body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(bodies[0]["headers"]["x-a"], "1");
    assert!(bodies[0]["request_content"].as_str().unwrap().contains("hello"));
    assert_eq!(bodies[0]["total_tokens"], 30);
    assert_eq!(bodies[0]["duration_ms"], 1000);
}

#[tokio::test]
async fn statistics_keep_their_names() {
    let site = Site::new().await;
    for _ in 0..3 {
        site.add(chat("a", "b"));
    }
    site.add(chat("a", "b").with(|exchange| exchange.outcome = Outcome::TimedOut));
    let stats = loop {
        // What began in this very millisecond counts in the next.
        let stats = site.json("/api/stats").await;
        if stats["total_requests"] == 4 {
            break stats;
        }
    };
    assert_eq!(
        keys(&stats),
        ["avg_response_time", "recent_requests_count", "success_rate", "total_requests"]
    );
    assert_eq!(stats["success_rate"], 75.0);
    assert_eq!(stats["avg_response_time"], 1000.0);
    assert_eq!(stats["recent_requests_count"], 4);
}

#[tokio::test]
async fn metrics_are_text_unless_json_is_asked_for() {
    let site = Site::new().await;
    site.add(chat("a", "b"));
    let text = site.get("/metrics").await;
    assert!(text.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert!(text.text().await.unwrap().contains("verbatim_test 1"));
    let json = site.json("/metrics?format=json").await;
    assert_eq!(json["pipeline"]["gateway"]["lost_bytes"], 0);
    let accepted = site.get_with("/metrics", &[("accept", "application/json")]).await;
    assert!(accepted.json::<Value>().await.unwrap()["total_requests"].is_number());
    assert!(site.json("/metrics/models").await["models"].is_array());
    let trends = site.json("/metrics/trends?hours=24").await;
    assert_eq!((&trends["hours"], trends["trends"].as_array().unwrap().len()), (&Value::from(24), 24));
}

#[tokio::test]
async fn the_start_page_with_a_search_opens_the_list() {
    let site = Site::new().await;
    let response = site.get("/?page=2&search=a%20b").await;
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers()["location"], "/exchanges?q=a%20b&page=2");
}

#[tokio::test]
async fn numbered_pages_lead_on_and_back() {
    let site = Site::new().await;
    for at in 0..45 {
        site.add(chat(&format!("number {at}"), "ok"));
    }
    let html = site.page("/exchanges?page=2").await;
    assert!(html.contains("number 24") && html.contains("number 5") && !html.contains("number 25"));
    assert!(html.contains("page=1") && html.contains("page=3"));
}
