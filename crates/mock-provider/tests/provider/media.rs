//! Bodies that are not JSON: images, speech, uploads, raw bytes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use tokio::io::AsyncReadExt;
use verbatim_mock_provider::{Digest, Ending};

use crate::client::{Client, call, mock, post, soon};

fn form(fields: &[(&str, &str)], file: &[u8]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, value) in fields {
        let field = format!("--b0und\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(field.as_bytes());
    }
    body.extend_from_slice(
        b"--b0und\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a b.wav\"\r\n",
    );
    body.extend_from_slice(b"Content-Type: audio/wav\r\n\r\n");
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--b0und--\r\n");
    ("content-type: multipart/form-data; boundary=b0und\r\n".to_owned(), body)
}

#[tokio::test]
async fn images_and_speech_are_bytes() {
    let mock = mock().await;
    let images = post(&mock, "/v1/images/generations", "", &json!({"prompt": "a cat", "n": 2})).await.json();
    let image = BASE64_STANDARD.decode(images["data"][1]["b64_json"].as_str().unwrap()).unwrap();
    assert!(image.starts_with(b"\x89PNG\r\n\x1a\n") && image.ends_with(b"IEND\xae\x42\x60\x82"));
    let speech = json!({"model": "tts-1", "voice": "alloy", "input": "hello", "response_format": "wav"});
    let speech = post(&mock, "/v1/audio/speech", "size=100000", &speech).await;
    assert_eq!(speech.header("content-type"), Some("audio/wav"));
    assert_eq!((&speech.body[..4], speech.body.len()), (&b"RIFF"[..], 100_044));
    mock.shutdown().await;
}

#[tokio::test]
async fn uploads_are_taken_and_told() {
    let mock = mock().await;
    let (headers, body) = form(&[("model", "whisper-1"), ("prompt", "会议记录")], b"RIFFdata");
    let heard = call(&mock, "POST", "/v1/audio/transcriptions", &headers, &body).await.json();
    assert!(heard["text"].as_str().unwrap().contains("会议记录"));
    let (headers, body) = form(&[("purpose", "batch")], &vec![0; 100_000]);
    let file = call(&mock, "POST", "/v1/files", &headers, &body).await.json();
    assert_eq!((&file["bytes"], &file["filename"]), (&json!(100_000), &json!("a b.wav")));
    assert_eq!(file["purpose"], "batch");
    let id = file["id"].as_str().unwrap();
    assert_eq!(call(&mock, "GET", &format!("/v1/files/{id}/content"), "", b"").await.body.len(), 2048);
    assert_eq!(call(&mock, "DELETE", &format!("/v1/files/{id}"), "", b"").await.json()["deleted"], true);
    assert_eq!(call(&mock, "POST", "/v1/files", "content-type: text/plain\r\n", b"x").await.status, 400);
    mock.shutdown().await;
}

#[tokio::test]
async fn an_upload_larger_than_what_is_kept_is_still_understood_and_hashed() {
    let mock = mock().await;
    let (headers, body) = form(&[("purpose", "user_data")], &vec![7; 9 << 20]);
    let file =
        call(&mock, "POST", "/v1/files", &format!("{headers}x-mock-id: large\r\n"), &body).await.json();
    assert_eq!(file["filename"], "a b.wav");
    assert_eq!(file["bytes"], body.len());
    let entry = soon(mock.ledger().wait_for_id("large")).await;
    assert_eq!(entry.request.blake3, Digest::of(&body));
    mock.shutdown().await;
}

#[tokio::test]
async fn raw_bytes_are_as_many_as_asked() {
    let mock = mock().await;
    let received = call(&mock, "GET", "/raw/3000001", "x-mock-id: raw\r\n", b"").await;
    assert_eq!((received.body.len(), received.header("content-length")), (3_000_001, Some("3000001")));
    let entry = soon(mock.ledger().wait_for_id("raw")).await;
    assert_eq!(entry.response.blake3, Digest::of(&received.body));
    assert_eq!((entry.flushed, entry.ending), (3_000_001, Ending::Completed));
    let head = call(&mock, "GET", "/raw/10", "x-mock: status=204\r\n", b"").await;
    assert_eq!((head.status, head.body.len()), (204, 0));
    mock.shutdown().await;
}

#[tokio::test]
async fn a_head_tells_the_length_of_what_it_leaves_out() {
    let mock = mock().await;
    let mut client = Client::connect(&mock).await;
    client.send(b"HEAD /raw/10 HTTP/1.1\r\nhost: m\r\nx-mock-id: head\r\nconnection: close\r\n\r\n").await;
    let mut got = String::new();
    soon(client.stream.read_to_string(&mut got)).await.unwrap();
    assert!(got.contains("content-length: 10\r\n") && got.ends_with("\r\n\r\n"), "{got}");
    let entry = soon(mock.ledger().wait_for_id("head")).await;
    assert_eq!((entry.response.bytes, entry.ending), (0, Ending::Completed));
    mock.shutdown().await;
}
