//! Calls that are broken off: by the caller, by the provider, at every stage. The provider's ledger is the judge.

use tokio::io::AsyncWriteExt;
use verbatim_core::model::Outcome;
use verbatim_mock_provider::{Digest, Ending};

use crate::support::{After, Connection, Rig, head, post, soon};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;

async fn begin(rig: &Rig, directives: &str, body: &str) -> Connection {
    let mut connection = Connection::open(rig.address).await;
    let headers = [("x-mock", directives), ("x-mock-id", "a")];
    connection.send(head("POST", "/v1/chat/completions", &headers, Some(body.len()))).await;
    connection.send(body).await;
    connection
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_head_cancels_the_call() {
    let rig = Rig::start().await;
    let connection = begin(&rig, "hang=head", CHAT).await;
    soon(rig.mock.ledger().wait_for_begun(1)).await;
    drop(connection);
    let entry = soon(rig.mock.ledger().wait_for_id("a")).await;
    assert_eq!(entry.ending, Ending::PeerLeft);
    let record = rig.record().await;
    assert_eq!((record.outcome(), record.end.status), (Outcome::ClientAborted, None));
    assert_eq!(record.request, CHAT.as_bytes());
}

#[tokio::test]
async fn a_caller_that_leaves_mid_stream_cancels_the_call() {
    let rig = Rig::start().await;
    let mut connection = begin(&rig, "chunks=40; hang-after=10; flush", STREAM).await;
    connection.head().await.unwrap();
    connection.at_least(100).await;
    drop(connection);
    let entry = soon(rig.mock.ledger().wait_for_id("a")).await;
    assert_eq!(entry.ending, Ending::PeerLeft);
    let record = rig.record().await;
    assert_eq!((record.outcome(), record.end.status), (Outcome::ClientAborted, Some(200)));
    assert!(!record.response.is_empty() && record.response.len() as u64 <= entry.response.bytes);
    let sent = entry.response.body.as_ref().unwrap();
    assert!(sent.starts_with(&record.response), "what is recorded is a prefix of what was sent");
}

#[tokio::test]
async fn a_caller_that_leaves_a_whole_answer_cancels_the_call() {
    let rig = Rig::start().await;
    let mut connection = begin(&rig, "size=2000000; chunks=200; chunk-delay=50ms; flush", CHAT).await;
    connection.head().await.unwrap();
    drop(connection);
    assert_eq!(soon(rig.mock.ledger().wait_for_id("a")).await.ending, Ending::PeerLeft);
    assert_eq!(rig.record().await.outcome(), Outcome::ClientAborted);
}

#[tokio::test]
async fn a_caller_that_leaves_while_it_sends_cancels_the_call() {
    let rig = Rig::start().await;
    let mut connection = Connection::open(rig.address).await;
    connection.send(head("POST", "/v1/chat/completions", &[("x-mock-id", "a")], Some(1000))).await;
    connection.send(&CHAT[..20]).await;
    soon(rig.mock.ledger().wait_for_begun(1)).await;
    drop(connection);
    let entry = soon(rig.mock.ledger().wait_for_id("a")).await;
    assert_eq!((entry.ending, entry.request_complete), (Ending::PeerLeft, false));
    let record = rig.record().await;
    assert_eq!((record.outcome(), record.end.status), (Outcome::ClientAborted, None));
    assert_eq!(record.request, &CHAT.as_bytes()[..20]);
    assert!(record.heads.is_empty() && record.response.is_empty(), "nobody was answered: {record:?}");
}

#[tokio::test]
async fn a_reset_before_the_head_is_told_in_the_callers_dialect() {
    let rig = Rig::start().await;
    for (path, pointer) in [
        ("/v1/chat/completions", "/error/message"),
        ("/v1/messages", "/error/message"),
        ("/v1beta/models/g:generateContent", "/error/status"),
        ("/api/chat", "/error"),
    ] {
        for fault in ["reset=head", "close=head"] {
            let answer = post(rig.address, path, &[("x-mock", fault)], CHAT.as_bytes()).await;
            assert_eq!((answer.status, answer.after), (502, After::Whole), "{path}");
            assert!(answer.json().pointer(pointer).is_some(), "{path}: {:?}", answer.json());
            assert!(!answer.id().is_empty());
        }
    }
    let records = rig.records(8).await;
    assert!(records.iter().all(|record| record.outcome() == Outcome::UpstreamAborted));
    assert!(records.iter().all(|record| record.end.status == Some(502)));
}

#[tokio::test]
async fn a_reset_mid_stream_is_passed_on_as_a_reset() {
    let rig = Rig::start().await;
    let answer = begin(&rig, "chunks=40; reset-after=10; flush", STREAM).await.receive("POST").await;
    assert_eq!((answer.status, answer.after), (200, After::Reset));
    let record = rig.record().await;
    assert_eq!(record.outcome(), Outcome::UpstreamAborted);
    assert!(record.response.starts_with(&answer.body) || answer.body.starts_with(&record.response));
    let entry = soon(rig.mock.ledger().wait_for_id("a")).await;
    assert!(entry.response.body.as_ref().unwrap().starts_with(&record.response));
}

#[tokio::test]
async fn an_answer_that_ends_early_never_looks_whole() {
    let rig = Rig::start().await;
    for (directives, body) in [
        ("chunks=40; close-after=10; flush", STREAM),
        ("size=100000; chunks=20; close-after=5; flush", CHAT),
        ("size=100000; chunks=20; reset-after=5; flush", CHAT),
    ] {
        let answer = begin(&rig, directives, body).await.receive("POST").await;
        assert_eq!(answer.status, 200);
        assert_ne!(answer.after, After::Whole, "{directives}");
        assert!(!answer.body.is_empty(), "what came before the end is passed on");
    }
    let records = rig.records(3).await;
    assert!(records.iter().all(|record| record.outcome() == Outcome::UpstreamAborted));
}

#[tokio::test]
async fn an_early_end_never_looks_whole_to_http_1_0() {
    let rig = Rig::start().await;
    let mut connection = Connection::open(rig.address).await;
    let headers = "x-mock: chunks=40; close-after=10; flush\r\n";
    let request = format!(
        "POST /v1/chat/completions HTTP/1.0\r\n{headers}content-length: {}\r\n\r\n{STREAM}",
        STREAM.len()
    );
    connection.send(request).await;
    let answer = connection.receive("POST").await;
    assert_eq!((answer.status, answer.after), (200, After::Reset));
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_told_as_502() {
    let rig = Rig::with(|config| {
        // A port that nobody listens on: it was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        config.providers[0].base_url = format!("http://127.0.0.1:{port}/v1").parse().unwrap();
    })
    .await;
    let answer = post(rig.address, "/v1/chat/completions", &[], CHAT.as_bytes()).await;
    assert_eq!(answer.status, 502);
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("openai: can't connect to the provider"), "{message}");
    let record = rig.record().await;
    assert_eq!(record.outcome(), Outcome::UpstreamAborted);
    assert_eq!(record.response, answer.body);
    assert_eq!(record.end.attempts.len(), 1);
    assert!(record.end.attempts[0].error.is_some());
}

#[tokio::test]
async fn an_answer_before_the_request_has_passed_is_passed_on() {
    let rig = Rig::start().await;
    let mut connection = Connection::open(rig.address).await;
    let headers = [("x-mock", "early; status=413"), ("x-mock-id", "e")];
    connection.send(head("POST", "/v1/chat/completions", &headers, Some(50_000_000))).await;
    let answer = connection.receive("POST").await;
    assert_eq!(answer.status, 413);
    drop(connection);
    assert_eq!(rig.record().await.end.status, Some(413));
}

#[tokio::test]
async fn a_caller_that_half_closes_after_its_request_still_counts_as_gone() {
    let rig = Rig::start().await;
    let mut connection = begin(&rig, "hang=head", CHAT).await;
    soon(rig.mock.ledger().wait_for_begun(1)).await;
    connection.stream.shutdown().await.unwrap();
    soon(rig.mock.ledger().wait_for_id("a")).await;
    assert_eq!(rig.record().await.outcome(), Outcome::ClientAborted);
}

#[tokio::test]
async fn many_calls_that_end_in_every_way_leave_one_record_each() {
    let rig = Rig::start().await;
    let ways = [
        "",
        "reset-after=3; flush",
        "close-after=2; flush",
        "status=500",
        "hang-after=2; flush",
        "reset=head",
    ];
    let mut calls = tokio::task::JoinSet::new();
    for index in 0..60 {
        let address = rig.address;
        let way = ways[index % ways.len()];
        calls.spawn(async move {
            let mut connection = Connection::open(address).await;
            let id = format!("m{index}");
            let headers = [("x-mock", way), ("x-mock-id", id.as_str())];
            connection.send(head("POST", "/v1/chat/completions", &headers, Some(STREAM.len()))).await;
            connection.send(STREAM).await;
            if way.starts_with("hang") {
                connection.head().await;
                connection.at_least(1).await;
            } else {
                connection.receive("POST").await;
            }
        });
    }
    soon(async { while calls.join_next().await.transpose().unwrap().is_some() {} }).await;
    let records = rig.records(60).await;
    soon(rig.mock.ledger().wait_for(60)).await;
    for record in &records {
        let id = record.header("x-mock-id").unwrap();
        let entry = rig.mock.ledger().by_id(&id).unwrap();
        let way = ways[id[1..].parse::<usize>().unwrap() % ways.len()];
        let expected = match way {
            "" => Outcome::Completed,
            "status=500" => Outcome::UpstreamError,
            "hang-after=2; flush" => Outcome::ClientAborted,
            _ => Outcome::UpstreamAborted,
        };
        assert_eq!(record.outcome(), expected, "{way}");
        assert_eq!(entry.request.blake3, Digest::of(&record.request));
        if expected == Outcome::Completed {
            assert_eq!(entry.response.blake3, Digest::of(&record.response));
        } else if way != "reset=head" {
            assert!(entry.response.body.as_ref().unwrap().starts_with(&record.response), "{way}");
        }
    }
    let health = rig.health.snapshot();
    assert_eq!((health.lost_bytes, health.unrecorded, health.in_flight), (0, 0, 0));
    // Budgets are given back to the last byte.
    crate::support::until(|| rig.health.snapshot().queue_bytes == 0).await;
}
