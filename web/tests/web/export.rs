//! What an export promises.

use std::sync::Arc;
use std::time::Duration;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use verbatim_core::model::{ExchangeId, Timestamp};
use verbatim_core::ports::{Clock, SystemClock};
use verbatim_testkit::ExchangeBuilder;
use verbatim_web::{Export, ExportError, ExportFormat, Stores};

use crate::client::{Site, chat};
use crate::support::World;

#[tokio::test]
async fn json_lines_hold_everything_a_query_matches() {
    let site = Site::new().await;
    for at in 0..450 {
        site.add(chat(&format!("number {at}"), "ok"));
    }
    site.add(chat("other", "ok").with(|exchange| exchange.provider = "other".to_owned()));
    let text = site.page("/api/v1/export?q=provider%3Aopenai").await;
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 450);
    assert_eq!(lines[0]["asked_preview"], "number 449");
    let text = site.page("/api/v1/export?q=provider%3Aother&include=conversation").await;
    let line: Value = serde_json::from_str(&text).unwrap();
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
    assert!(cell("asked_preview").starts_with("'=HYPERLINK"));
    assert!(cell("answered_preview").starts_with("'@SUM"));
    assert!(rows[0].iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t'])));
}

#[tokio::test]
async fn parquet_holds_the_same_with_types() {
    let site = Site::new().await;
    for at in 0..450 {
        let call = chat(&format!("=number {at}"), "天气\0").with(|exchange| {
            exchange.tags = vec!["one two".to_owned(), "three".to_owned()];
            exchange.status = (at > 0).then_some(200);
        });
        site.add(call);
    }
    let response = site.get("/api/v1/export?format=parquet&q=provider%3Aopenai").await;
    assert_eq!(response.headers()["content-type"], "application/vnd.apache.parquet");
    assert_eq!(response.headers()["content-disposition"], "attachment; filename=\"exchanges.parquet\"");
    let reader = SerializedFileReader::new(response.bytes().await.unwrap()).unwrap();
    let rows: Vec<Row> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    let text = site.page("/api/v1/export?q=provider%3Aopenai").await;
    assert_eq!(rows.len(), 450);
    for (row, line) in rows.iter().zip(text.lines()) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(row.len(), line.as_object().unwrap().len());
        for (name, cell) in row.get_column_iter() {
            assert_eq!(as_json(cell), line[name], "{name}");
        }
    }
}

/// A cell of Parquet as the API would have it.
fn as_json(cell: &Field) -> Value {
    match cell {
        Field::Null => Value::Null,
        Field::Bool(flag) => json!(flag),
        Field::Long(number) => json!(number),
        Field::Str(text) => json!(text),
        Field::TimestampMicros(us) => json!(Timestamp::from_unix_us(*us).to_string()),
        Field::ListInternal(list) => list.elements().iter().map(as_json).collect(),
        other => panic!("no column has this type: {other:?}"),
    }
}

#[tokio::test]
async fn an_export_that_is_stopped_does_not_look_whole() {
    let world = World::default();
    for at in 0..450 {
        world.add(chat(&format!("number {at}"), "ok").build());
    }
    for format in [ExportFormat::Jsonl { conversation: false }, ExportFormat::Csv, ExportFormat::Parquet] {
        let stores = Arc::new(Stores::new(world.archive.clone(), None, Arc::new(SystemClock)));
        let stop = CancellationToken::new();
        let mut export = Export::begin(stores, "", format, stop.clone()).await.unwrap();
        assert!(export.next().await.unwrap().is_some());
        stop.cancel();
        assert!(matches!(export.next().await, Err(ExportError::Stopped)), "{format:?}");
    }
}

#[tokio::test]
async fn an_export_that_can_not_be_whole_is_an_error() {
    let site = Site::new().await;
    site.world.index.down.set(true);
    assert_eq!(site.get("/api/v1/export?q=word").await.status(), 503);
    assert_eq!(site.get("/api/v1/export?q=statsu%3A1").await.status(), 400);
    assert_eq!(site.get("/api/v1/export?format=xlsx").await.status(), 400);
    // It is whole as far as it goes; that it goes no further is told.
    let bounded = site.get("/api/v1/export?q=word+in%3Aall").await;
    assert!(bounded.headers()["x-verbatim-notice"].to_str().unwrap().contains("24 hours"));
    let said = site.get("/api/v1/export?q=word+in%3Aall+after%3A3d").await;
    assert!(!said.headers().contains_key("x-verbatim-notice"));
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
