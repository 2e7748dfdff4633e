//! How many connections callers may have, and how long one may do nothing.

use std::time::Duration;

use verbatim_core::model::Outcome;

use crate::support::{After, Connection, Rig, get, head};

const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;

#[tokio::test]
async fn a_connection_without_a_call_ends_and_a_long_answer_does_not() {
    let rig = Rig::with(|config| {
        config.connections.head = Duration::from_millis(20);
        config.connections.keep_alive = Duration::from_millis(20);
    })
    .await;
    let mut connection = Connection::open(rig.address).await;
    let headers = [("x-mock", "chunks=30; chunk-delay=10ms; flush")];
    connection.send(head("POST", "/v1/chat/completions", &headers, Some(STREAM.len()))).await;
    connection.send(STREAM).await;
    let answer = connection.receive("POST").await;
    assert_eq!((answer.status, answer.after), (200, After::Whole));
    assert_eq!(connection.ending().await, After::Closed);
    for sent in ["", "POST /v1/chat/completions HTTP/1.1\r\nhost: "] {
        let mut silent = Connection::open(rig.address).await;
        silent.send(sent).await;
        assert_eq!(silent.ending().await, After::Closed, "{sent:?}");
    }
    assert_eq!(rig.record().await.outcome(), Outcome::Completed);
}

#[tokio::test]
async fn callers_wait_while_all_connections_are_taken() {
    let rig = Rig::with(|config| config.connections.connections = 1).await;
    let mut first = Connection::open(rig.address).await;
    assert_eq!(first.call("GET", "/healthz", &[], b"").await.status, 200);
    let mut second = Connection::open(rig.address).await;
    second.send(head("GET", "/healthz", &[], None)).await;
    let early = tokio::time::timeout(Duration::from_millis(100), second.head()).await;
    assert!(early.is_err(), "it was let in beside the first");
    drop(first);
    assert_eq!(second.receive("GET").await.status, 200);
    drop(second);
    assert_eq!(get(rig.address, "/healthz", &[]).await.status, 200);
}
