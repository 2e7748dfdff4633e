//! What the live stream promises.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use verbatim_core::model::{Exchange, ExchangeId, Outcome};

use crate::client::{Site, chat};

/// Server-sent events, one at a time.
struct Events {
    stream: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

struct Event {
    name: String,
    id: String,
    data: Value,
}

impl Events {
    async fn open(site: &Site, path: &str, headers: &[(&str, &str)]) -> Self {
        let response = site.get_with(path, headers).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { stream: Box::pin(response.bytes_stream()), text: String::new() }
    }

    async fn next(&mut self) -> Event {
        tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                if let Some((event, rest)) = self.text.split_once("\n\n") {
                    let field = |name: &str| {
                        let line = event.lines().find_map(|line| line.strip_prefix(name));
                        line.unwrap_or_default().trim().to_owned()
                    };
                    let found = (field("event:"), field("id:"), field("data:"));
                    self.text = rest.to_owned();
                    if !found.0.is_empty() {
                        let data = serde_json::from_str(&found.2).unwrap();
                        return Event { name: found.0, id: found.1, data };
                    }
                    continue;
                }
                let bytes = self.stream.next().await.expect("the stream goes on").unwrap();
                self.text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        })
        .await
        .expect("an event within ten seconds")
    }

    async fn next_named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await;
            if event.name == name {
                return event;
            }
        }
    }
}

async fn ready(site: &Site) {
    while site.world.live.onlookers() == 0 {
        tokio::task::yield_now().await;
    }
}

fn body(exchange: &Exchange) -> String {
    serde_json::json!({"model": "gpt-4o", "messages": [{"role": "user", "content": exchange.asked_preview}]})
        .to_string()
}

#[tokio::test]
async fn a_call_is_told_as_it_runs_and_when_it_is_archived() {
    let site = Site::new().await;
    ready(&site).await;
    let mut events = Events::open(&site, "/api/v1/live?rows=1", &[]).await;
    let record = chat("明天天气", "多云").build();
    site.world.live.start(&record.exchange, body(&record.exchange));
    let started = events.next().await;
    assert_eq!(started.name, "started");
    assert_eq!(started.data["id"], record.exchange.id.to_string());
    assert_eq!(started.data["exchange"]["outcome"], "running");
    assert_eq!(started.data["exchange"]["asked_preview"], "明天天气");
    assert!(started.data["row"].as_str().unwrap().contains("data-running"));
    let list = site.page("/exchanges").await;
    assert!(list.contains("streaming") && list.contains("明天天气"));
    site.world.live.end(record.exchange.id);
    assert_eq!(events.next().await.name, "ended");
    let id = record.exchange.id;
    site.world.add(record);
    let archived = events.next().await;
    assert_eq!(archived.name, "archived");
    assert_eq!(archived.data["exchange"]["outcome"], "completed");
    assert!(archived.data["row"].as_str().unwrap().contains(&format!("/exchanges/{id}")));
}

#[tokio::test]
async fn only_what_matches_is_told() {
    let site = Site::new().await;
    ready(&site).await;
    let mut filtered = Events::open(&site, "/api/v1/live?q=provider%3Aother", &[]).await;
    let mut searched = Events::open(&site, "/api/v1/live?q=%E5%A4%A9%E6%B0%94", &[]).await;
    for (asked, provider) in [("nothing", "openai"), ("天气", "openai"), ("x", "other")] {
        let record = chat(asked, "ok").with(|exchange| exchange.provider = provider.to_owned()).build();
        let id = record.exchange.id;
        site.world.live.start(&record.exchange, body(&record.exchange));
        site.world.add(record);
        site.world.live.end(id);
    }
    assert_eq!(filtered.next_named("archived").await.data["exchange"]["asked_preview"], "x");
    assert_eq!(searched.next_named("archived").await.data["exchange"]["asked_preview"], "天气");
}

#[tokio::test]
async fn who_comes_back_gets_what_it_missed() {
    let site = Site::new().await;
    ready(&site).await;
    let mut events = Events::open(&site, "/api/v1/live", &[]).await;
    let pass = |asked: &str| {
        let record = chat(asked, "ok").build();
        let id = record.exchange.id;
        site.world.live.start(&record.exchange, body(&record.exchange));
        site.world.add(record);
        site.world.live.end(id);
    };
    pass("first");
    let first = events.next_named("archived").await;
    drop(events);
    pass("second");
    let mut events = Events::open(&site, "/api/v1/live", &[("last-event-id", &first.id)]).await;
    assert_eq!(events.next_named("archived").await.data["exchange"]["asked_preview"], "second");
    let mut lost = Events::open(&site, "/api/v1/live?after=999999", &[]).await;
    assert_eq!(lost.next().await.name, "missed");
}

#[tokio::test]
async fn onlookers_do_not_keep_the_role_from_stopping() {
    let mut site = Site::new().await;
    ready(&site).await;
    let mut events = Events::open(&site, "/api/v1/live", &[]).await;
    site.world.live.miss(1);
    assert_eq!(events.next().await.name, "missed");
    let stopped = tokio::time::timeout(Duration::from_secs(10), site.stopped()).await;
    assert!(stopped.is_ok());
}

#[tokio::test]
async fn a_call_that_is_over_and_not_archived_yet_is_waited_for() {
    let site = Site::new().await;
    ready(&site).await;
    let record = chat("a", "b").build();
    let id = record.exchange.id;
    let response = site.get(&format!("/exchanges/{id}")).await;
    assert_eq!(response.status(), 404);
    assert!(response.text().await.unwrap().contains("under way"));
    site.world.add(record);
    assert_eq!(site.get(&format!("/exchanges/{id}")).await.status(), 200);
}

#[tokio::test]
async fn a_hole_in_the_log_is_told() {
    let site = Site::new().await;
    ready(&site).await;
    let mut events = Events::open(&site, "/api/v1/live", &[]).await;
    site.world.live.miss(7);
    let missed = events.next().await;
    assert_eq!((missed.name.as_str(), &missed.data["count"]), ("missed", &Value::from(7)));
}

#[tokio::test]
async fn a_wrong_query_and_a_process_without_live_traffic_are_told() {
    let site = Site::new().await;
    assert_eq!(site.get("/api/v1/live?q=statsu%3A1").await.status(), 400);
    let site = Site::with(|_, ports| ports.live = None).await;
    assert_eq!(site.get("/api/v1/live").await.status(), 404);
    assert!(!site.page("/exchanges").await.contains("id=\"live\""));
}

#[tokio::test]
async fn a_page_of_a_running_call_is_told_when_there_is_more_of_it() {
    let site = Site::new().await;
    let id = ExchangeId::mint();
    let long = |outcome, answered: &str| {
        let mut record = chat("a long story", answered).build();
        record.exchange.id = id;
        record.exchange.outcome = outcome;
        record.exchange.response_bytes = answered.len() as u64;
        site.world.add(record);
    };
    let seen = async || {
        let html = site.page(&format!("/exchanges/{id}")).await;
        let at = html.find("data-seen=\"")? + 11;
        Some(html[at..at + html[at..].find('"').unwrap()].to_owned())
    };
    long(Outcome::Running, "once");
    let first = seen().await.expect("a running call is followed");
    let in_pane = [("hx-request", "true"), ("hx-target", "detail")];
    let news = async |seen: &str| {
        site.get_with(&format!("/exchanges/{id}?tab=conversation&seen={seen}"), &in_pane).await
    };
    assert_eq!(news(&first).await.status(), 204);
    long(Outcome::Running, "once upon a time");
    let more = news(&first).await;
    assert_eq!(more.status(), 200);
    assert!(more.text().await.unwrap().contains("once upon a time"));
    let second = seen().await.expect("it still runs");
    assert_ne!(first, second);
    long(Outcome::Completed, "once upon a time");
    let ended = news(&second).await.text().await.unwrap();
    assert!(ended.contains("completed") && !ended.contains("data-seen"));
    assert_eq!(seen().await, None);
}
