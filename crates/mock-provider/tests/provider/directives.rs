//! What `x-mock` asks for is what happens.

use std::time::{Duration, Instant};

use crate::client::{Client, call, chat, mock, post};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_directive_that_is_not_understood_is_refused() {
    let mock = mock().await;
    let received = post(&mock, CHAT, "chunks=few", &chat("?", false)).await;
    assert_eq!(received.status, 400);
    let message = received.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("`chunks` expects a number"), "{message}");
    mock.shutdown().await;
}

#[tokio::test]
async fn delays_are_kept() {
    let mock = mock().await;
    let begun = Instant::now();
    post(&mock, CHAT, "delay-head=60ms", &chat("?", false)).await;
    assert!(begun.elapsed() >= Duration::from_millis(60));
    let begun = Instant::now();
    let received = post(&mock, CHAT, "chunk-delay=10ms; chunks=5", &chat("?", true)).await;
    // The text's chunks, and the first, the one that finishes, and `[DONE]`.
    assert_eq!(received.chunks.len(), 8);
    assert!(begun.elapsed() >= Duration::from_millis(70));
    mock.shutdown().await;
}

#[tokio::test]
async fn statuses_come_with_an_error_and_when_to_retry() {
    let mock = mock().await;
    let received = post(&mock, CHAT, "status=429; retry-after=7", &chat("?", true)).await;
    assert_eq!((received.status, received.header("retry-after")), (429, Some("7")));
    assert_eq!(received.json()["error"]["code"], "rate_limit_exceeded");
    mock.shutdown().await;
}

#[tokio::test]
async fn answers_are_as_large_as_asked() {
    let mock = mock().await;
    let received = post(&mock, CHAT, "size=3000000", &chat("?", false)).await;
    assert!(received.body.len() > 3_000_000);
    assert_eq!(received.json()["choices"][0]["message"]["content"].as_str().unwrap().len(), 3_000_000);
    mock.shutdown().await;
}

#[tokio::test]
async fn splits_and_chunk_bytes_cut_anywhere_and_lose_nothing() {
    let mock = mock().await;
    let question = chat("日本語で答えてください", true);
    let plain = post(&mock, CHAT, "", &question).await;
    let split = post(&mock, CHAT, "split", &question).await;
    assert_eq!(split.body, plain.body);
    assert!(split.chunks.iter().any(|chunk| std::str::from_utf8(chunk).is_err()));
    let small = post(&mock, CHAT, "chunk-bytes=7", &question).await;
    assert_eq!(small.body, plain.body);
    assert!(small.chunks.iter().all(|chunk| chunk.len() <= 7));
    mock.shutdown().await;
}

#[tokio::test]
async fn streams_end_and_begin_as_oddly_as_asked() {
    let mock = mock().await;
    let question = chat("?", true);
    assert!(!post(&mock, CHAT, "no-done", &question).await.text().contains("[DONE]"));
    assert_eq!(post(&mock, CHAT, "double-done", &question).await.text().matches("[DONE]").count(), 2);
    assert!(post(&mock, CHAT, "crlf", &question).await.text().ends_with("[DONE]\r\n\r\n"));
    assert!(post(&mock, CHAT, "bom", &question).await.text().starts_with('\u{feff}'));
    let failed = post(&mock, CHAT, "error-in-stream", &question).await;
    assert!(failed.events().last().unwrap().1["error"]["message"].is_string());
    let finished = post(&mock, CHAT, "finish=length", &question).await;
    assert_eq!(finished.events().last().unwrap().1["choices"][0]["finish_reason"], "length");
    mock.shutdown().await;
}

#[tokio::test]
async fn bodies_are_compressed_whole_and_frame_by_frame() {
    use std::io::Read;
    let mock = mock().await;
    for stream in [false, true] {
        let plain = post(&mock, CHAT, "", &chat("What is zstd?", stream)).await;
        for encoding in ["gzip", "deflate", "br", "zstd"] {
            let packed =
                post(&mock, CHAT, &format!("encoding={encoding}"), &chat("What is zstd?", stream)).await;
            assert_eq!(packed.header("content-encoding"), Some(encoding));
            assert_eq!(packed.chunks.len(), plain.chunks.len());
            let mut unpacked = Vec::new();
            match encoding {
                "gzip" => flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked),
                "deflate" => flate2::read::ZlibDecoder::new(&packed.body[..]).read_to_end(&mut unpacked),
                "br" => brotli::Decompressor::new(&packed.body[..], 4096).read_to_end(&mut unpacked),
                _ => zstd::Decoder::new(&packed.body[..]).unwrap().read_to_end(&mut unpacked),
            }
            .unwrap();
            assert_eq!(unpacked, plain.body, "{encoding}");
        }
    }
    mock.shutdown().await;
}

#[tokio::test]
async fn trailers_follow_a_body_for_those_who_take_them() {
    let mock = mock().await;
    let headers = "te: trailers\r\nx-mock: trailers\r\n";
    let received = call(&mock, "POST", CHAT, headers, chat("?", true).to_string().as_bytes()).await;
    assert!(received.trailers.contains("x-mock-trailer: after the body"), "{received:?}");
    mock.shutdown().await;
}

#[tokio::test]
async fn an_early_answer_does_not_wait_for_the_body() {
    let mock = mock().await;
    let mut client = Client::connect(&mock).await;
    client.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: m\r\ncontent-length: 1000000\r\nx-mock: early; status=413\r\n\r\n").await;
    assert_eq!(client.response().await.unwrap().status, 413);
    mock.shutdown().await;
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it() {
    let mock = mock().await;
    let body = chat("?", false).to_string();
    let mut client = Client::connect(&mock).await;
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: m\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    client.send(head.as_bytes()).await;
    assert_eq!(client.response().await.unwrap().status, 100);
    client.send(body.as_bytes()).await;
    assert_eq!(client.response().await.unwrap().status, 200);
    mock.shutdown().await;
}

#[tokio::test]
async fn the_same_call_gets_the_same_answer() {
    let mock = mock().await;
    let (one, two) =
        (post(&mock, CHAT, "", &chat("?", true)).await, post(&mock, CHAT, "", &chat("?", true)).await);
    assert_eq!(one.body, two.body);
    mock.shutdown().await;
}

#[tokio::test]
async fn an_echo_streams_the_request_back() {
    let mock = mock().await;
    let mut client = Client::connect(&mock).await;
    client.send(b"POST /echo HTTP/1.1\r\nhost: m\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    // The first piece is back before the second is sent.
    let mut got = Vec::new();
    while !got.windows(5).any(|window| window == b"hello") {
        tokio::io::AsyncReadExt::read_buf(&mut client.stream, &mut got).await.unwrap();
    }
    client.send(b"6\r\n world\r\n0\r\n\r\n").await;
    while !got.windows(5).any(|window| window == b"0\r\n\r\n") {
        tokio::io::AsyncReadExt::read_buf(&mut client.stream, &mut got).await.unwrap();
    }
    mock.ledger().wait_for(1).await;
    let entry = mock.ledger().entries().remove(0);
    assert!(entry.request_complete);
    assert_eq!((entry.request.bytes, entry.response.bytes), (11, 11));
    assert_eq!(entry.request.blake3, entry.response.blake3);
    mock.shutdown().await;
}
