//! What passes: everything, unchanged.

use verbatim_core::model::{Leg, Outcome};
use verbatim_mock_provider::Digest;

use crate::support::{After, Connection, Rig, get, post};

const CHAT: &str = r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hello"}]}"#;

#[tokio::test]
async fn a_call_passes_and_is_recorded_byte_for_byte() {
    let rig = Rig::start().await;
    let answer =
        post(rig.address, "/v1/chat/completions?b=2&a=1", &[("x-mock-id", "c1")], CHAT.as_bytes()).await;
    assert_eq!((answer.status, answer.after), (200, After::Whole));
    let entry = rig.mock.ledger().wait_for_id("c1").await;
    assert_eq!(entry.target, "/v1/chat/completions?b=2&a=1");
    assert_eq!(entry.request.blake3, Digest::of(CHAT.as_bytes()));
    assert_eq!(entry.response.blake3, Digest::of(&answer.body));
    let record = rig.record().await;
    assert_eq!(record.id.to_string(), answer.id());
    assert_eq!(record.outcome(), Outcome::Completed);
    assert_eq!(record.request, CHAT.as_bytes());
    assert_eq!(record.response, answer.body);
    assert_eq!(record.end.status, Some(200));
    assert_eq!(record.parts, 0, "a short exchange has no parts");
    // The start does not wait for the body that tells it.
    assert!(record.start.model_asked.as_deref().is_none_or(|model| model == "gpt-4o-mini"));
    assert_eq!(record.leg(Leg::ClientResponse).hash.len(), 32);
    assert!(record.end.relay_us.is_some() && record.end.first_byte_us.is_some());
    let timing = answer.header("server-timing").unwrap();
    assert!(timing.starts_with("relay;dur=") || timing.contains(", relay;dur="), "{timing}");
}

#[tokio::test]
async fn headers_pass_but_for_those_of_one_hop_and_ours() {
    let rig = Rig::start().await;
    let headers = [
        ("x-mock-id", "h"),
        ("accept-encoding", "gzip, br"),
        ("x-repeated", "2"),
        ("x-repeated", "1"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("x-verbatim-session", "s1"),
        ("x-verbatim-tags", "a,b"),
        ("x-title", "My App"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("authorization", "Bearer sk-secret"),
    ];
    post(rig.address, "/v1/chat/completions", &headers, CHAT.as_bytes()).await;
    let entry = rig.mock.ledger().wait_for_id("h").await;
    let sent = &entry.request_headers;
    assert_eq!(sent.get("accept-encoding"), Some("gzip, br"));
    assert_eq!(sent.get("authorization"), Some("Bearer sk-secret"));
    assert_eq!(sent.get("x-title"), Some("My App"));
    assert!(sent.get("traceparent").is_some());
    assert_eq!(sent.get("x-hop"), None);
    assert_eq!(sent.get("x-verbatim-session"), None);
    assert_eq!(sent.get("x-verbatim-tags"), None);
    assert_eq!(sent.get("host"), Some(rig.mock.address().to_string().as_str()));
    let repeated: Vec<_> =
        sent.iter().filter(|(name, _)| *name == "x-repeated").map(|(_, value)| value).collect();
    assert_eq!(repeated, [b"2", b"1"]);

    let record = rig.record().await;
    assert_eq!(record.start.session.as_deref(), Some("s1"));
    assert_eq!(record.start.tags, ["a", "b"]);
    assert_eq!(record.start.trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    let caller = record.start.caller.clone().unwrap();
    assert_eq!(caller.app.as_deref(), Some("My App"));
    assert_eq!(caller.client_address.as_deref(), Some("127.0.0.1"));
    let hash = caller.credential.unwrap();
    assert_eq!(record.header("authorization"), Some(format!("redacted:{hash}")));
    assert!(!format!("{record:?}").contains("sk-secret"));
}

#[tokio::test]
async fn streams_pass_chunk_by_chunk_as_they_come() {
    let rig = Rig::start().await;
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let mut connection = Connection::open(rig.address).await;
    let headers = [("x-mock", "chunks=5; hang-after=2; flush"), ("x-mock-id", "s")];
    connection.send(crate::support::head("POST", "/v1/chat/completions", &headers, Some(body.len()))).await;
    connection.send(body).await;
    let (status, head) = connection.head().await.unwrap();
    assert_eq!(status, 200);
    assert!(head.contains("text/event-stream"), "{head}");
    // The provider hangs after two chunks: what came of them is here although nothing follows.
    assert!(!connection.at_least(10).await.is_empty());
    drop(connection);
    let record = rig.record().await;
    assert_eq!(record.outcome(), Outcome::ClientAborted);
}

#[tokio::test]
async fn a_stream_of_fifty_chunks_is_recorded_with_the_time_of_each() {
    let rig = Rig::start().await;
    let headers = [("x-mock", "chunks=50; chunk-delay=1ms; flush"), ("x-mock-id", "s")];
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let answer = post(rig.address, "/v1/chat/completions", &headers, body.as_bytes()).await;
    assert_eq!(answer.after, After::Whole);
    let record = rig.record().await;
    assert_eq!(record.response, answer.body);
    let chunks = &record.response_times.chunks;
    assert!(chunks.len() >= 25, "{}", chunks.len());
    assert!(chunks.is_sorted_by_key(|chunk| (chunk.offset, chunk.at_us)));
}

#[tokio::test]
async fn compression_is_left_as_it_is() {
    let rig = Rig::start().await;
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let directives = format!("encoding={encoding}");
        let headers = [("x-mock", directives.as_str()), ("x-mock-id", encoding)];
        let answer = post(rig.address, "/v1/chat/completions", &headers, CHAT.as_bytes()).await;
        assert_eq!(answer.header("content-encoding"), Some(encoding));
        let entry = rig.mock.ledger().wait_for_id(encoding).await;
        assert_eq!(entry.response.blake3, Digest::of(&answer.body));
    }
}

#[tokio::test]
async fn every_dialects_paths_find_their_provider() {
    let rig = Rig::start().await;
    for (path, headers, provider) in [
        ("/v1/messages", &[("anthropic-version", "2023-06-01")][..], "anthropic"),
        ("/v1beta/models/g:generateContent?key=k1", &[], "gemini"),
        ("/api/chat", &[], "ollama"),
        ("/~run-1/openai/v1/chat/completions", &[], "openai"),
        ("/plain/v1/chat/completions", &[], "plain"),
    ] {
        let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"contents":[]}"#;
        let answer = post(rig.address, path, headers, body.as_bytes()).await;
        assert!(answer.status < 500, "{path}: {answer:?}");
        crate::support::until(|| crate::support::record_of(&rig.log.memory, answer.id()).is_some()).await;
        let record = crate::support::record_of(&rig.log.memory, answer.id()).unwrap();
        assert_eq!(record.start.provider, provider, "{path}");
        assert!(!record.start.path.contains("key=k1") && !record.start.upstream_url.contains("key=k1"));
        if path.starts_with("/~") {
            assert_eq!(record.start.session.as_deref(), Some("run-1"));
        }
    }
}

#[tokio::test]
async fn a_body_in_chunks_passes_in_chunks() {
    let rig = Rig::start().await;
    let mut connection = Connection::open(rig.address).await;
    let head = "POST /plain/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nx-mock-id: e\r\n\r\n";
    connection.send(head).await;
    for chunk in ["one ", "two ", "three"] {
        connection.send(format!("{:x}\r\n{chunk}\r\n", chunk.len())).await;
    }
    connection.send("0\r\n\r\n").await;
    let answer = connection.receive("POST").await;
    assert_eq!(answer.status, 200);
    let entry = rig.mock.ledger().wait_for_id("e").await;
    assert_eq!(entry.request.blake3, Digest::of(b"one two three"));
    assert_eq!(rig.record().await.request, "one two three");
}

#[tokio::test]
async fn a_caller_that_expects_100_continue_gets_it_before_it_sends() {
    let rig = Rig::start().await;
    let mut connection = Connection::open(rig.address).await;
    let headers = [("expect", "100-continue"), ("x-mock-id", "e")];
    connection.send(crate::support::head("POST", "/v1/chat/completions", &headers, Some(CHAT.len()))).await;
    assert_eq!(connection.head().await.unwrap().0, 100);
    connection.send(CHAT).await;
    assert_eq!(connection.receive("POST").await.status, 200);
    assert_eq!(rig.mock.ledger().wait_for_id("e").await.request.blake3, Digest::of(CHAT.as_bytes()));
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    let rig = Rig::start().await;
    let mut connection = Connection::open(rig.address).await;
    for (method, path, directives) in [
        ("HEAD", "/v1/models", ""),
        ("GET", "/plain/raw/10", "status=204"),
        ("GET", "/plain/raw/10", "status=304"),
    ] {
        let answer = connection.call(method, path, &[("x-mock", directives)], b"").await;
        assert_eq!(answer.body, b"", "{method} {directives}");
        assert_eq!(answer.after, After::Whole);
    }
    // The same connection is still in step.
    assert_eq!(connection.call("GET", "/v1/models", &[], b"").await.status, 200);
    let records = rig.records(4).await;
    assert!(records.iter().all(|record| record.outcome() == Outcome::Completed));
}

#[tokio::test]
async fn any_method_passes_to_the_provider() {
    let rig = Rig::start().await;
    for method in ["OPTIONS", "DELETE", "PATCH", "PUT", "PURGE"] {
        let mut connection = Connection::open(rig.address).await;
        let id = [("x-mock-id", method)];
        let answer = connection.call(method, "/plain/echo", &id, b"").await;
        assert!(answer.status > 0);
        assert_eq!(rig.mock.ledger().wait_for_id(method).await.method, method);
    }
}

#[tokio::test]
async fn paths_pass_as_they_were_written() {
    let rig = Rig::start().await;
    let path = "/plain/a%2Fb//c:d/%7e+x?b=2&a=%20&b=1&";
    get(rig.address, path, &[("x-mock-id", "p")]).await;
    assert_eq!(rig.mock.ledger().wait_for_id("p").await.target, "/a%2Fb//c:d/%7e+x?b=2&a=%20&b=1&");
}

#[tokio::test]
async fn a_connection_to_the_provider_is_used_again() {
    let rig = Rig::start().await;
    let mut connection = Connection::open(rig.address).await;
    for _ in 0..20 {
        assert_eq!(connection.call("POST", "/v1/chat/completions", &[], CHAT.as_bytes()).await.status, 200);
    }
    rig.records(20).await;
}

#[tokio::test]
async fn errors_of_the_provider_pass_unchanged() {
    let rig = Rig::start().await;
    let headers = [("x-mock", "status=429; retry-after=7"), ("x-mock-id", "r")];
    let answer = post(rig.address, "/v1/chat/completions", &headers, CHAT.as_bytes()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
    assert_eq!(rig.mock.ledger().wait_for_id("r").await.response.blake3, Digest::of(&answer.body));
    assert_eq!(rig.record().await.outcome(), Outcome::UpstreamError);
}
