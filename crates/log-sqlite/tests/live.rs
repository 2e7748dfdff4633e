//! Looking on.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use bytes::Bytes;
use futures_util::StreamExt;
use tempfile::TempDir;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{CaptureLog, Live, LiveMessage, Message, MessageKind};
use verbatim_log_sqlite::{Config, SqliteLog};

fn part(text: &str) -> Message {
    Message {
        kind: MessageKind::Part,
        gateway: "gateway".into(),
        exchange: ExchangeId::mint(),
        payload: Bytes::from(text.to_owned()),
    }
}

async fn append(log: &SqliteLog, messages: Vec<Message>) {
    assert!(log.append(messages).await.iter().all(Result::is_ok));
}

fn text(message: Option<LiveMessage>) -> String {
    match message {
        Some(LiveMessage::Passed(message)) => String::from_utf8(message.payload.to_vec()).unwrap(),
        Some(LiveMessage::Missed(count)) => format!("missed {count}"),
        None => "closed".to_owned(),
    }
}

#[tokio::test]
async fn an_onlooker_sees_what_passes_from_then_on_until_the_log_is_closed() {
    let directory = TempDir::new().unwrap();
    let log = SqliteLog::open(Config::new(directory.path())).await.unwrap();
    append(&log, vec![part("before")]).await;
    let (mut one, mut other) = (log.subscribe(), log.subscribe());
    append(&log, vec![part("a"), part("b")]).await;
    let (seen, ()) = tokio::join!(
        async { [text(one.next().await), text(one.next().await), text(one.next().await)] },
        append(&log, vec![part("c")]),
    );
    assert_eq!(seen, ["a", "b", "c"]);
    log.shutdown().await.unwrap();
    assert_eq!(text(one.next().await), "closed");
    assert_eq!(text(other.next().await), "a");
    assert_eq!(other.count().await, 2);
}

#[tokio::test]
async fn a_slow_onlooker_hears_how_much_it_missed() {
    let directory = TempDir::new().unwrap();
    let log = SqliteLog::open(Config { cache_bytes: 30, ..Config::new(directory.path()) }).await.unwrap();
    let mut slow = log.subscribe();
    append(&log, (0..10).map(|n| part(&format!("message {n}"))).collect()).await;
    assert_eq!(text(slow.next().await), "missed 7");
    assert_eq!(text(slow.next().await), "message 7");
    append(&log, vec![part("message a"), part("message b")]).await;
    assert_eq!(text(slow.next().await), "message 8");
    log.shutdown().await.unwrap();
}
