//! What is none of ours on our subjects goes to the dead letters and harms nobody.

use std::time::Duration;

use async_nats::HeaderMap;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{CaptureLog, Consumer, DeadLetter, MessageKind, Sequence};
use verbatim_log_nats::{Config, NatsLog};
use verbatim_testkit::NatsServer;
use verbatim_testkit::capture_log::{SOON, message};

use crate::support::{
    append, append_at_last, config, connect, end, last_letter, limit, pull, sequences, start, stranger,
    texts, until,
};

/// Everything was read, acknowledged and, where it is garbage, set aside.
async fn all_is_read(log: &NatsLog, letters: u64) {
    until("all is read", async || {
        // What could not be set aside at once comes to those who read on.
        for consumer in [Consumer::Recorder, Consumer::Watch] {
            let read = log.next(consumer, limit(64, Duration::ZERO)).await.unwrap_or_default();
            let _ = log.acknowledge(consumer, &sequences(&read)).await;
        }
        let Ok(floors) = log.floors().await else { return false };
        floors.recorder == floors.last && floors.watch == floors.last
    })
    .await;
    assert_eq!(log.health().await.unwrap().dead_letters, letters);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_goes_to_the_dead_letters_with_a_reason_and_its_neighbours_are_read() {
    let server = NatsServer::start("").await;
    let (log, client) = (connect(&server).await, stranger(&server).await);
    let exchange = ExchangeId::mint().to_string();
    let with = |id: &str| HeaderMap::from_iter([("Verbatim-Exchange".parse().unwrap(), id.parse().unwrap())]);
    append(&log, vec![end("first"), start("first")]).await;
    for (subject, headers) in [
        ("cap.end.gateway.00", HeaderMap::new()),
        ("cap.end.gateway.00", with("no id")),
        ("cap.end.gateway.40", with(&exchange)),
        ("cap.end.gate%zzway.00", with(&exchange)),
        ("cap.end.gateway", with(&exchange)),
        ("cap.end.gateway.00.more", with(&exchange)),
        ("cap.start.gateway.zz", with(&exchange)),
    ] {
        client.publish_with_headers(subject, headers, b"\0garbage\xff"[..].into()).await.unwrap();
    }
    client.flush().await.unwrap();
    append(&log, vec![end("last"), start("last")]).await;
    for consumer in [Consumer::Recorder, Consumer::Watch] {
        let read = pull(&log, consumer, 2).await;
        if consumer == Consumer::Recorder {
            assert_eq!(texts(&read), ["first", "last"]);
        }
        log.acknowledge(consumer, &sequences(&read)).await.unwrap();
    }
    all_is_read(&log, 7).await;
    let (headers, payload) = last_letter(&client, "start").await;
    assert_eq!(payload, b"\0garbage\xff");
    for expected in ["Verbatim-Subject: cap.start.gateway.zz", "Verbatim-Reason: its subject names no shard"]
    {
        assert!(headers.contains(expected), "{headers}");
    }
    log.shutdown().await;
}

/// Publishes what no client library would: bytes in place of headers.
async fn publish_raw(server: &NatsServer, subject: &str, headers: &[u8], payload: &[u8]) {
    let (reader, mut writer) = TcpStream::connect(server.address()).await.unwrap().into_split();
    let (head, all) = (headers.len(), headers.len() + payload.len());
    writer.write_all(b"CONNECT {\"verbose\":false,\"headers\":true}\r\n").await.unwrap();
    writer.write_all(format!("HPUB {subject} {head} {all}\r\n").as_bytes()).await.unwrap();
    writer.write_all(&[headers, payload, b"\r\nPING\r\n"].concat()).await.unwrap();
    let mut lines = BufReader::new(reader).lines();
    while lines.next_line().await.unwrap().unwrap() != "PONG" {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_break_the_connection_are_set_aside_and_break_it_once() {
    let server = NatsServer::start("").await;
    let log = NatsLog::connect(Config { acknowledgement_wait: SOON * 4, ..config(&server) }).await.unwrap();
    append(&log, vec![end("before")]).await;
    for headers in
        [&b"no headers at all\r\n\r\n"[..], b"NATS/1.0\r\nA: \xff\xfe\r\n\r\n", b"NATS/1.0 503\r\n\r\n"]
    {
        publish_raw(&server, "cap.end.gateway-1.00", headers, b"poison").await;
    }
    append(&log, vec![end("after")]).await;
    let mut texts: Vec<String> = Vec::new();
    while texts.len() < 2 {
        let read = pull(&log, Consumer::Recorder, 1).await;
        // A connection that breaks takes answers with it: whether it counts, the next delivery tells.
        if log.acknowledge(Consumer::Recorder, &sequences(&read)).await.is_ok() {
            texts.extend(crate::support::texts(&read).into_iter().map(str::to_owned));
        }
    }
    texts.sort();
    texts.dedup();
    assert_eq!(texts, ["after", "before"]);
    all_is_read(&log, 3).await;
    let (headers, payload) = last_letter(&stranger(&server).await, "end").await;
    assert!(payload == b"poison" && headers.contains("Verbatim-Subject: cap.end.gateway-1.00"), "{headers}");
    log.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_break_the_connection_keep_nothing_from_being_scanned_or_read() {
    let server = NatsServer::start("").await;
    let log = connect(&server).await;
    let mut mine: Vec<Sequence> = append(&log, (0..30).map(|n| end(&format!("{n}"))).collect()).await;
    for headers in [&b"broken\r\n\r\n"[..], b"NATS/1.0 503\r\n\r\n", b"NATS/1.0 404 no\r\n\r\n"] {
        publish_raw(&server, "cap.part.gateway-1.00", headers, b"poison").await;
    }
    mine.push(append(&log, vec![end("30")]).await[0]);
    let poison = [mine[30] - 3, mine[30] - 2, mine[30] - 1];
    let scan = async || log.scan("gateway-1", 0, Sequence::MAX >> 1, 100, usize::MAX).await;
    until("the scan gets by", async || scan().await.is_ok()).await;
    let found: Vec<_> = scan().await.unwrap().into_iter().map(|(sequence, _)| sequence).collect();
    assert_eq!(found, mine);
    // Those that break no connection, then the one that does.
    let (first, last) = (mine[0], mine[30]);
    let read = async || log.read(&[first, poison[1], poison[2], last]).await;
    until("the read gets by", async || {
        read().await.is_ok_and(|read| read.iter().map(Option::is_some).eq([true, false, false, true]))
    })
    .await;
    let read = async || log.read(&[first, poison[0], last]).await;
    until("the read gets by", async || {
        read().await.is_ok_and(|read| read.iter().map(Option::is_some).eq([true, false, true]))
    })
    .await;
    log.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_says_what_it_was_and_why_and_fits_whatever_its_size() {
    let server = NatsServer::start("").await;
    let (log, client) = (connect(&server).await, stranger(&server).await);
    let message = message(MessageKind::End, "gateway 1", vec![7; (1 << 20) - 300]);
    let sequence = append_at_last(&log, message.clone()).await;
    let letter = DeadLetter { sequence, message: message.clone(), reason: "its hash\r\nis wrong".to_owned() };
    log.dead_letter(vec![letter.clone(), letter]).await.unwrap();
    assert_eq!(log.health().await.unwrap().dead_letters, 1);
    let (headers, payload) = last_letter(&client, "end").await;
    for expected in [
        format!("Verbatim-Exchange: {}", message.exchange),
        format!("Verbatim-Sequence: {sequence}"),
        "Verbatim-Reason: its hash  is wrong".to_owned(),
        "Verbatim-Gateway: gateway%201".to_owned(),
        format!("Verbatim-Payload-Length: {}", message.payload.len()),
    ] {
        assert!(headers.contains(&expected), "{headers}");
    }
    assert!(message.payload.starts_with(&payload) && payload.len() > 1_000_000);
    log.shutdown().await;
}
