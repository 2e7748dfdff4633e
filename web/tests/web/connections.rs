//! How many connections there may be, and how long one may do nothing.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Site, chat};

const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(site: &Site) -> TcpStream {
    TcpStream::connect(site.base.strip_prefix("http://").unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_connection_without_a_request_ends_and_a_live_page_does_not() {
    let site = Site::with(|config, _| {
        config.connections.head = Duration::from_millis(20);
        config.connections.keep_alive = Duration::from_millis(20);
    })
    .await;
    let mut live = connect(&site).await;
    live.write_all(b"GET /api/v1/live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut head = [0; 12];
    timeout(PATIENCE, live.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(head, *b"HTTP/1.1 200");
    for sent in ["", "GET /api/v1/exchanges HTTP/1.1\r\nhost: "] {
        let mut silent = connect(&site).await;
        silent.write_all(sent.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        assert_eq!(timeout(PATIENCE, silent.read_to_end(&mut rest)).await.unwrap().unwrap(), 0, "{sent:?}");
    }
    // By now it was open for longer than any that does nothing.
    let mut rest = Vec::new();
    let ended = timeout(Duration::from_millis(50), live.read_to_end(&mut rest)).await;
    assert!(ended.is_err(), "the live page was cut");
}

#[tokio::test]
async fn further_connections_wait_while_all_are_taken() {
    let site = Site::with(|config, _| config.connections.connections = 1).await;
    let first = connect(&site).await;
    let request = site.get("/api/v1/exchanges");
    tokio::pin!(request);
    assert!(
        timeout(Duration::from_millis(100), &mut request).await.is_err(),
        "it was let in beside the first"
    );
    drop(first);
    assert_eq!(timeout(PATIENCE, request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_keeps_nobody_out() {
    let site = Site::with(|config, _| {
        config.connections.connections = 2;
        config.answer_within = Duration::from_millis(50);
        config.password = "right".to_owned();
    })
    .await;
    let mut stalled = [connect(&site).await, connect(&site).await];
    for one in &mut stalled {
        let head = "POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                    content-length: 100\r\n\r\npassword=";
        one.write_all(head.as_bytes()).await.unwrap();
    }
    assert_eq!(timeout(PATIENCE, site.get("/login")).await.unwrap().status(), 200);
    for mut one in stalled {
        let mut answer = Vec::new();
        timeout(PATIENCE, one.read_to_end(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn who_reads_nothing_of_an_answer_keeps_nobody_out() {
    let site = Site::with(|config, _| {
        config.connections.connections = 1;
        config.unread_for = Duration::from_millis(50);
    })
    .await;
    // More than both ends' buffers take.
    let question = "x".repeat(64 << 20);
    let id = site.add(chat(&question, "y"));
    let mut unread = connect(&site).await;
    let request =
        format!("GET /api/v1/exchanges/{id}/legs/client_request HTTP/1.1\r\nhost: localhost\r\n\r\n");
    unread.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    timeout(PATIENCE, unread.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(head, *b"HTTP/1.1 200");
    assert_eq!(timeout(PATIENCE, site.get("/api/v1/exchanges")).await.unwrap().status(), 200);
}
