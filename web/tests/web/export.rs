//! What an export promises.

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
