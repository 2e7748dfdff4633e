//! `/v1/realtime` is a WebSocket that echoes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use verbatim_mock_provider::{Digest, Ending};

use crate::client::{After, Client, call, mock, soon};

fn handshake(headers: &str) -> String {
    format!(
        "GET /v1/realtime?model=m HTTP/1.1\r\nhost: m\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

/// A masked frame with a mask of zeros, which leaves the payload readable.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    bytes.extend_from_slice(payload);
    bytes
}

#[tokio::test]
async fn messages_are_echoed_and_a_close_is_answered() {
    let mock = mock().await;
    let mut client = Client::connect(&mock).await;
    client
        .send(handshake("x-mock-id: ws\r\nsec-websocket-protocol: realtime, secret.key\r\n").as_bytes())
        .await;
    let response = client.response().await.unwrap();
    assert_eq!(response.status, 101);
    // The example of RFC 6455, section 1.3.
    assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(response.header("sec-websocket-protocol"), Some("realtime"));
    assert_eq!(response.header("x-mock-id"), Some("ws"));
    let sent = [
        frame(1, "你好".as_bytes()),
        frame(9, b"p"),
        frame(2, &[1, 2, 3]),
        frame(8, &1000_u16.to_be_bytes()),
    ];
    for frame in &sent {
        client.stream.write_all(frame).await.unwrap();
    }
    let mut got = Vec::new();
    soon(client.stream.read_to_end(&mut got)).await.unwrap();
    let mut expected = vec![0x81, 6];
    expected.extend_from_slice("你好".as_bytes());
    expected.extend_from_slice(&[0x8a, 1, b'p', 0x82, 3, 1, 2, 3, 0x88, 2, 3, 232]);
    assert_eq!(got, expected);
    let entry = soon(mock.ledger().wait_for_id("ws")).await;
    assert_eq!((entry.status, entry.ending), (Some(101), Ending::Completed));
    assert_eq!(entry.request.blake3, Digest::of(&sent.concat()));
    assert_eq!((entry.response.blake3, entry.flushed), (Digest::of(&got), got.len() as u64));
    mock.shutdown().await;
}

#[tokio::test]
async fn a_websocket_is_reset_as_directed() {
    let mock = mock().await;
    let mut client = Client::connect(&mock).await;
    client.send(handshake("x-mock-id: ws\r\nx-mock: reset-after=1\r\n").as_bytes()).await;
    assert_eq!(client.response().await.unwrap().after, After::Whole);
    client.stream.write_all(&frame(1, b"one")).await.unwrap();
    let mut got = Vec::new();
    let ended = soon(client.stream.read_to_end(&mut got)).await;
    assert_eq!(got, [0x81, 3, b'o', b'n', b'e']);
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(soon(mock.ledger().wait_for_id("ws")).await.ending, Ending::Reset);
    mock.shutdown().await;
}

#[tokio::test]
async fn what_is_no_websocket_is_told_so() {
    let mock = mock().await;
    assert_eq!(call(&mock, "GET", "/v1/realtime", "", b"").await.status, 426);
    mock.shutdown().await;
}
