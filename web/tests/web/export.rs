//! What an export promises.

use std::time::Duration;

use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{Clock, SystemClock};
use verbatim_testkit::ExchangeBuilder;

use crate::client::{Site, chat};

#[tokio::test]
async fn json_lines_hold_everything_a_query_matches() {
    let site = Site::new().await;
    for at in 0..450 {
        site.add(chat(&format!("number {at}"), "ok"));
    }
    site.add(chat("other", "ok").with(|exchange| exchange.provider = "other".to_owned()));
    let text = site.page("/api/v1/export?q=provider%3Aopenai").await;
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 450);
    assert_eq!(lines[0]["asked_preview"], "number 449");
    let text = site.page("/api/v1/export?q=provider%3Aother&include=conversation").await;
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["conversation"]["messages"][0]["parts"][0]["text"], "other");
}

#[tokio::test]
async fn no_csv_cell_is_a_formula() {
    let site = Site::new().await;
    site.add(chat("=HYPERLINK(\"http://evil.example\")", "@SUM(1+1)*cmd|' /C calc'!A0\n\"x\", y"));
    let response = site.get("/api/v1/export?format=csv").await;
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
    assert!(response.headers()["content-disposition"].to_str().unwrap().contains("exchanges.csv"));
    let text = response.text().await.unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1);
    let cell = |name: &str| rows[0].get(names.iter().position(|have| have == name).unwrap()).unwrap();
    assert!(cell("asked").starts_with("'=HYPERLINK"));
    assert!(cell("answered").starts_with("'@SUM"));
    assert!(rows[0].iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t'])));
}

#[tokio::test]
async fn an_export_that_can_not_be_whole_is_an_error() {
    let site = Site::new().await;
    site.world.index.down.set(true);
    assert_eq!(site.get("/api/v1/export?q=word").await.status(), 503);
    assert_eq!(site.get("/api/v1/export?q=statsu%3A1").await.status(), 400);
}

fn hours_ago(hours: u64) -> ExchangeBuilder {
    let at = SystemClock.now().minus(Duration::from_secs(hours * 3600));
    ExchangeBuilder::new(ExchangeId::lowest_at(at)).with(|exchange| {
        exchange.began_at = at;
        exchange.asked_preview = format!("{hours} hours ago");
    })
}

#[tokio::test]
async fn an_export_holds_what_the_page_lists() {
    let site = Site::new().await;
    for hours in [0, 2, 30, 200, 2_000] {
        site.add(hours_ago(hours));
    }
    for (range, expected) in [("1h", 1), ("24h", 2), ("7d", 3), ("30d", 4), ("all", 5), ("", 5)] {
        let page = site.page(&format!("/exchanges?range={range}")).await;
        assert_eq!(page.matches("<li class=\"row").count(), expected, "{range}");
        let at = page.find("/api/v1/export?format=jsonl").unwrap();
        let url = page[at..at + page[at..].find('"').unwrap()].replace("&amp;", "&").replace("&#38;", "&");
        assert_eq!(site.page(&url).await.lines().count(), expected, "{url}");
        let csv = site.page(&url.replace("jsonl", "csv")).await;
        assert_eq!(csv.lines().count(), expected + 1, "{url}");
    }
    let own_time = site.page("/api/v1/export?range=1h&q=after%3A3d").await;
    assert_eq!(own_time.lines().count(), 3);
    let refused = site.get("/api/v1/export?range=2h").await;
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("range"));
}
