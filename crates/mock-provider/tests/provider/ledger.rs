//! The ledger says exactly what was received and sent, however an exchange ends.

use serde_json::json;
use verbatim_mock_provider::{Config, Detail, Digest, Ending, Entry, LedgerOptions, MockProvider};

use crate::client::{After, Client, call, chat, mock, post, soon};

#[tokio::test]
async fn a_whole_exchange_is_told_to_the_byte() {
    let mock = mock().await;
    let body = chat("What is ownership?", false).to_string();
    let received = call(
        &mock,
        "POST",
        "/v1/chat/completions?a=b",
        "x-mock-id: first\r\nx-twice: 1\r\nx-twice: 2\r\n",
        body.as_bytes(),
    )
    .await;
    let entry = soon(mock.ledger().wait_for_id("first")).await;
    assert_eq!((entry.sequence, entry.method.as_str()), (1, "POST"));
    assert_eq!(entry.target, "/v1/chat/completions?a=b");
    let twice: Vec<_> =
        entry.request_headers.iter().filter(|(name, _)| *name == "x-twice").map(|(_, v)| v).collect();
    assert_eq!(twice, [b"1", b"2"]);
    assert_eq!((entry.request.bytes, entry.request.blake3), (body.len() as u64, Digest::of(body.as_bytes())));
    assert!(entry.request_complete);
    assert_eq!(entry.status, Some(200));
    assert_eq!(entry.response_headers.get("content-type"), Some("application/json"));
    assert_eq!(entry.response.blake3, Digest::of(&received.body));
    assert_eq!(entry.response.body.as_deref(), Some(received.body.as_slice()));
    assert_eq!(
        (entry.flushed, entry.response.bytes),
        (received.body.len() as u64, received.body.len() as u64)
    );
    assert_eq!(entry.ending, Ending::Completed);
    assert_eq!(received.header("x-mock-id"), Some("first"));
    mock.shutdown().await;
}

#[tokio::test]
async fn an_exchange_without_an_id_gets_one() {
    let mock = mock().await;
    let received = post(&mock, "/v1/chat/completions", "", &chat("Hello", false)).await;
    let id = received.header("x-mock-id").unwrap();
    assert_eq!(soon(mock.ledger().wait_for_id(id)).await.sequence, 1);
    mock.shutdown().await;
}

#[tokio::test]
async fn calls_with_the_same_id_are_all_found() {
    let mock = mock().await;
    for target in ["/one", "/two", "/three"] {
        call(&mock, "GET", target, "x-mock-id: again\r\n", b"").await;
    }
    soon(mock.ledger().wait_for(3)).await;
    let targets: Vec<_> = mock.ledger().all_by_id("again").iter().map(|entry| entry.target.clone()).collect();
    assert_eq!(targets, ["/one", "/two", "/three"]);
    assert_eq!(mock.ledger().by_id("again").unwrap().target, "/three");
    mock.shutdown().await;
}

#[tokio::test]
async fn a_client_that_leaves_mid_upload_is_told_with_the_bytes_that_came() {
    let mock = mock().await;
    let mut client = Client::connect(&mock).await;
    client.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: m\r\nx-mock-id: cut\r\ncontent-length: 1000\r\n\r\n").await;
    soon(mock.ledger().wait_for_begun(1)).await;
    client.send(&[b'x'; 300]).await;
    drop(client);
    let entry = soon(mock.ledger().wait_for_id("cut")).await;
    assert!(!entry.request_complete);
    assert_eq!((entry.request.bytes, entry.request.blake3), (300, Digest::of(&[b'x'; 300])));
    assert_eq!((entry.status, entry.ending), (None, Ending::PeerLeft));
    mock.shutdown().await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_is_told() {
    let mock = mock().await;
    let mut client = Client::connect(&mock).await;
    let headers = "x-mock-id: early\r\nx-mock: hang=head\r\n";
    client.request("POST", "/v1/chat/completions", headers, chat("?", false).to_string().as_bytes()).await;
    soon(mock.ledger().wait_for_begun(1)).await;
    assert_eq!(mock.ledger().totals().ended, 0);
    drop(client);
    let entry = soon(mock.ledger().wait_for_id("early")).await;
    assert!(entry.request_complete);
    assert_eq!((entry.status, entry.ending), (None, Ending::PeerLeft));
    mock.shutdown().await;
}

#[tokio::test]
async fn a_client_that_leaves_mid_stream_got_a_prefix_of_what_was_sent() {
    let mock = mock().await;
    let mut client = Client::connect(&mock).await;
    let headers = "x-mock-id: left\r\nx-mock: hang-after=4; chunks=20\r\n";
    client.request("POST", "/v1/chat/completions", headers, chat("Go?", true).to_string().as_bytes()).await;
    let mut got = Vec::new();
    while got.windows(6).filter(|window| window == b"data: ").count() < 4 {
        soon(tokio::io::AsyncReadExt::read_buf(&mut client.stream, &mut got)).await.unwrap();
    }
    drop(client);
    let entry = soon(mock.ledger().wait_for_id("left")).await;
    assert_eq!(entry.ending, Ending::PeerLeft);
    assert_eq!(entry.flushed, entry.response.bytes);
    let sent = entry.response.body.clone().unwrap();
    assert_eq!(sent.windows(6).filter(|window| window == b"data: ").count(), 4);
    assert_eq!(entry.response.blake3, Digest::of(&sent));
    mock.shutdown().await;
}

#[tokio::test]
async fn a_slow_reader_that_leaves_got_no_more_than_was_handed_over() {
    let mock = mock().await;
    let mut client = Client::connect(&mock).await;
    let headers = "x-mock-id: slow\r\nx-mock: size=20000000\r\n";
    client.request("POST", "/v1/chat/completions", headers, chat("Go?", true).to_string().as_bytes()).await;
    let mut got = vec![0; 100_000];
    soon(tokio::io::AsyncReadExt::read_exact(&mut client.stream, &mut got)).await.unwrap();
    drop(client);
    let entry = soon(mock.ledger().wait_for_id("slow")).await;
    assert_eq!(entry.ending, Ending::PeerLeft);
    assert!(entry.flushed <= entry.response.bytes && entry.response.bytes < 20_000_000, "{entry:?}");
    mock.shutdown().await;
}

#[tokio::test]
async fn resets_and_early_ends_are_told_with_what_the_client_got() {
    let mock = mock().await;
    for chunks in [0, 1, 3, 7] {
        for (word, after, ending) in
            [("reset", After::Reset, Ending::Reset), ("close", After::Closed, Ending::Closed)]
        {
            for stream in [true, false] {
                let id = format!("{word}-{chunks}-{stream}");
                let headers = format!("x-mock-id: {id}\r\nx-mock: {word}-after={chunks}; chunks=30\r\n");
                let body = chat("What now?", stream).to_string();
                let received = call(&mock, "POST", "/v1/chat/completions", &headers, body.as_bytes()).await;
                assert_eq!(received.after, after, "{id}");
                let entry = soon(mock.ledger().wait_for_id(&id)).await;
                assert_eq!((entry.status, entry.ending), (Some(200), ending), "{id}");
                assert_eq!(entry.response.blake3, Digest::of(&received.body), "{id}");
                assert_eq!(
                    (entry.response.bytes, entry.flushed),
                    (received.body.len() as u64, entry.response.bytes)
                );
                if stream {
                    assert_eq!(received.chunks.len(), chunks);
                }
            }
        }
    }
    mock.shutdown().await;
}

#[tokio::test]
async fn a_connection_broken_before_the_head_has_no_status() {
    let mock = mock().await;
    for (word, after, ending) in
        [("reset", After::Reset, Ending::Reset), ("close", After::Closed, Ending::Closed)]
    {
        let mut client = Client::connect(&mock).await;
        let headers = format!("x-mock-id: {word}\r\nx-mock: {word}=head\r\n");
        client
            .request("POST", "/v1/chat/completions", &headers, chat("?", false).to_string().as_bytes())
            .await;
        assert_eq!(client.response().await.unwrap_err(), after);
        let entry = soon(mock.ledger().wait_for_id(word)).await;
        assert_eq!((entry.status, entry.ending), (None, ending));
    }
    mock.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_ends_what_is_under_way() {
    let mock = mock().await;
    let mut client = Client::connect(&mock).await;
    let headers = "x-mock-id: stopped\r\nx-mock: hang=body\r\n";
    client.request("POST", "/v1/chat/completions", headers, chat("?", true).to_string().as_bytes()).await;
    soon(mock.ledger().wait_for_begun(1)).await;
    let ledger = mock.ledger().clone();
    soon(mock.shutdown()).await;
    assert_eq!(ledger.by_id("stopped").unwrap().ending, Ending::Stopped);
}

#[tokio::test]
async fn the_file_has_every_entry_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.jsonl");
    let ledger = LedgerOptions { detail: Detail::Heads, capacity: 10, file: Some(path.clone()) };
    let mock = MockProvider::start(Config { ledger, ..Config::default() }).await.unwrap();
    for question in 0..25 {
        post(&mock, "/v1/chat/completions", "", &chat(&question.to_string(), question % 2 == 0)).await;
    }
    soon(mock.ledger().wait_for(25)).await;
    let kept = mock.ledger().entries();
    assert_eq!(kept.len(), 10);
    assert_eq!(mock.ledger().entries_from(20).len(), 5);
    let ledger = mock.ledger().clone();
    soon(mock.shutdown()).await;
    let text = std::fs::read_to_string(&path).unwrap();
    let written: Vec<Entry> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(written.len(), 25);
    for (kept, written) in kept.iter().zip(&written[15..]) {
        assert_eq!(
            (&kept.id, &kept.response, &kept.request),
            (&written.id, &written.response, &written.request)
        );
        assert_eq!(kept.request_headers, written.request_headers);
    }
    assert_eq!(ledger.by_id(&written[0].id), None);
    let totals = ledger.totals();
    assert_eq!((totals.begun, totals.ended, totals.completed), (25, 25, 25));
    assert_eq!(totals.response_bytes, written.iter().map(|entry| entry.response.bytes).sum::<u64>());
}

#[tokio::test]
async fn in_minimal_mode_chats_are_counted() {
    let mock = MockProvider::start(Config { minimal: true, ..Config::default() }).await.unwrap();
    let mut client = Client::connect(&mock).await;
    let mut bytes = 0;
    for stream in [false, true, false] {
        client.request("POST", "/v1/chat/completions", "", chat("?", stream).to_string().as_bytes()).await;
        let received = client.response().await.unwrap();
        assert_eq!(received.chunks.len(), if stream { 50 } else { 0 });
        bytes += received.body.len() as u64;
    }
    soon(mock.ledger().wait_for(3)).await;
    let totals = mock.ledger().totals();
    assert_eq!((totals.begun, totals.completed, totals.response_bytes), (3, 3, bytes));
    assert!(mock.ledger().entries().is_empty());
    assert_eq!(post(&mock, "/v1/chat/completions", "status=429", &json!({})).await.status, 429);
    mock.shutdown().await;
}
