//! WebSockets: bytes pass both ways and are recorded as they passed.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use verbatim_core::model::Outcome;
use verbatim_mock_provider::{Digest, Ending};

use crate::support::{Connection, Rig, soon};

fn handshake(headers: &str) -> String {
    format!(
        "GET /v1/realtime?model=m HTTP/1.1\r\nhost: m\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nx-mock-id: ws\r\n{headers}\r\n"
    )
}

/// A masked frame with a mask of zeros, which leaves the payload readable.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    bytes.extend_from_slice(payload);
    bytes
}

pub(crate) async fn open(rig: &Rig) -> Connection {
    let mut connection = Connection::open(rig.address).await;
    let protocols = "sec-websocket-protocol: realtime, openai-insecure-api-key.sk-hush\r\n";
    connection.send(handshake(protocols)).await;
    let (status, head) = connection.head().await.unwrap();
    assert_eq!(status, 101);
    let head = head.to_ascii_lowercase();
    assert!(head.contains("upgrade: websocket") && head.contains("connection: upgrade"), "{head}");
    assert!(head.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    assert!(head.contains("x-verbatim-id"), "{head}");
    connection
}

#[tokio::test]
async fn frames_pass_both_ways_and_the_close_code_is_noted() {
    let rig = Rig::start().await;
    let mut connection = open(&rig).await;
    let sent = [frame(1, "你好".as_bytes()), frame(2, &[1, 2, 3])];
    for frame in &sent {
        connection.send(frame).await;
    }
    let mut got = connection.at_least(13).await;
    let close = frame(8, &1000_u16.to_be_bytes());
    connection.send(&close).await;
    got.extend(connection.at_least(4).await);
    let entry = soon(rig.mock.ledger().wait_for_id("ws")).await;
    assert_eq!(entry.ending, Ending::Completed);
    assert_eq!(
        entry.request_headers.get("sec-websocket-protocol").unwrap(),
        "realtime, openai-insecure-api-key.sk-hush"
    );
    let record = rig.record().await;
    assert_eq!((record.outcome(), record.end.status), (Outcome::Completed, Some(101)));
    assert_eq!(record.request, [sent.concat(), close].concat());
    assert_eq!(record.response, got);
    assert_eq!(entry.response.blake3, Digest::of(&record.response));
    assert_eq!(record.end.facts["websocket_close_code"], "1000");
    assert_eq!(record.end.facts["websocket_closed_by"], "client");
    let hidden = record.header("sec-websocket-protocol").unwrap();
    assert!(!hidden.contains("sk-hush") && hidden.starts_with("realtime, "), "{hidden}");
}

#[tokio::test]
async fn a_caller_that_leaves_a_tunnel_is_seen_by_the_provider() {
    let rig = Rig::start().await;
    let mut connection = open(&rig).await;
    connection.send(frame(1, b"hi")).await;
    connection.at_least(4).await;
    connection.stream.shutdown().await.unwrap();
    drop(connection);
    soon(rig.mock.ledger().wait_for_id("ws")).await;
    let record = rig.record().await;
    assert_eq!(record.outcome(), Outcome::ClientAborted);
    assert_eq!(record.request, frame(1, b"hi"));
}

#[tokio::test]
async fn a_shutdown_interrupts_a_tunnel_that_goes_on() {
    let mut rig = Rig::with(|config| config.timeouts.drain = Duration::from_millis(100)).await;
    let mut connection = open(&rig).await;
    connection.send(frame(1, b"hi")).await;
    connection.at_least(4).await;
    rig.shutdown().await;
    let record = rig.record().await;
    assert_eq!(record.outcome(), Outcome::Interrupted);
    assert_eq!(record.request, frame(1, b"hi"));
}

#[tokio::test]
async fn a_silent_tunnel_is_closed() {
    let rig = Rig::with(|config| config.timeouts.idle = Duration::from_millis(100)).await;
    let mut connection = open(&rig).await;
    connection.ending().await;
    assert_eq!(rig.record().await.outcome(), Outcome::TimedOut);
}

#[tokio::test]
async fn a_provider_that_does_not_switch_answers_as_ever() {
    let rig = Rig::start().await;
    let mut connection = Connection::open(rig.address).await;
    let request = "GET /plain/raw/10 HTTP/1.1\r\nhost: m\r\nconnection: Upgrade\r\nupgrade: other\r\n\r\n";
    connection.send(request).await;
    let answer = connection.receive("GET").await;
    assert_eq!((answer.status, answer.body.len()), (200, 10));
    assert_eq!(rig.record().await.outcome(), Outcome::Completed);
}

#[tokio::test]
async fn a_body_passes_whatever_protocol_its_sender_would_rather_speak() {
    let rig = Rig::start().await;
    for (id, upgrade) in [("h2c", "h2c"), ("other", "other")] {
        let mut connection = Connection::open(rig.address).await;
        let body = r#"{"model":"m","messages":[]}"#;
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: m\r\nconnection: Upgrade, HTTP2-Settings\r\n\
             upgrade: {upgrade}\r\nhttp2-settings: AAMAAABk\r\nx-mock-id: {id}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.send(request).await;
        let entry = soon(rig.mock.ledger().wait_for_id(id)).await;
        assert_eq!(entry.request.blake3, Digest::of(body.as_bytes()), "{upgrade}");
        assert_eq!(entry.request_headers.get("upgrade"), None, "{upgrade}");
        assert_eq!(entry.request_headers.get("http2-settings"), None, "{upgrade}");
        assert_eq!(rig.record().await.request, body.as_bytes(), "{upgrade}");
    }
}

#[tokio::test]
async fn a_tunnel_of_which_nothing_is_recorded_is_not_silent_while_bytes_pass() {
    let rig = Rig::with(|config| config.timeouts.idle = Duration::from_millis(400)).await;
    let mut connection = Connection::open(rig.address).await;
    connection.send(handshake("x-verbatim-record: meta\r\n")).await;
    assert_eq!(connection.head().await.unwrap().0, 101);
    // The answer comes only when the frame is whole.
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    for byte in frame(1, &[b'x'; 60]) {
        pace.tick().await;
        connection.send([byte]).await;
    }
    assert_eq!(connection.at_least(62).await.len(), 62);
}
