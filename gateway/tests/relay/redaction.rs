//! Credentials in bodies pass, and stay out of the log.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use verbatim_core::model::Leg;
use verbatim_gateway::{BaseUrl, Provider};
use verbatim_mock_provider::Digest;
use verbatim_proto::decode;

use crate::support::{Connection, Record, Rig, post, until};

const MCP: &str = r#"{"model":"m-1","input":"hello","tools":[{"type":"mcp","server_label":"s",
    "server_url":"https://mcp.example","\u0061uthorization":"hush-1 \"quoted\"",
    "headers":{"X-Key":"hush-2","X-More":["hush-3"]}}],"metadata":{"authorization":"hush-4"}}"#;
const SESSION: &str =
    r#"{"id":"sess_1","client_secret":{"value":"hush-5","expires_at":1},"value":"ek_hush-6-hush-7"}"#;

/// Whether any message in the log holds a text, wherever it stands in it.
fn is_in_log(rig: &Rig, text: &str) -> bool {
    rig.log.memory.messages().iter().any(|(_, message)| {
        // Bodies and headers are lists of bytes, which show as what they say here.
        let shown = format!("{:?}", decode(message.payload.clone()).unwrap().message);
        shown.contains(text)
    })
}

fn check(rig: &Rig, record: &Record, leg: Leg, passed: &str, recorded: &[u8]) {
    let summary = record.leg(leg);
    assert_eq!((summary.length, summary.lost), (passed.len() as u64, 0));
    assert_eq!(recorded.len(), passed.len());
    assert_eq!(summary.hash.as_slice(), blake3::hash(passed.as_bytes()).as_bytes(), "{leg}: what passed");
    assert_eq!(summary.stored_hash.as_slice(), blake3::hash(recorded).as_bytes(), "{leg}: what is recorded");
    assert!(!is_in_log(rig, "hush"), "{leg}");
    assert!(is_in_log(rig, "redact"), "{leg}: the log can be searched");
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
    let lines = |text: &str| text.lines().filter_map(|line| line.strip_prefix("data: ").map(json)).collect();
    let read =
        |text: &str| -> Vec<bool> { if text.starts_with('{') { vec![json(text)] } else { lines(text) } };
    assert_eq!(read(passed), read(std::str::from_utf8(recorded).unwrap()), "{leg}: JSON stays JSON");
}

#[tokio::test]
async fn a_tools_credentials_sent_in_chunks_and_told_back_are_not_recorded() {
    for (length, stream) in [(1, false), (7, true), (40, false), (1000, true)] {
        let body = MCP.replacen('{', &format!(r#"{{"stream":{stream},"#), 1);
        let rig = Rig::start().await;
        let mut connection = Connection::open(rig.address).await;
        let head = "POST /v1/responses HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\
            content-type: application/json\r\nx-mock-id: m\r\n\r\n";
        connection.send(head).await;
        for chunk in body.as_bytes().chunks(length) {
            connection.send([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()).await;
        }
        connection.send("0\r\n\r\n").await;
        let answer = connection.receive("POST").await;
        assert_eq!(answer.status, 200);
        let entry = rig.mock.ledger().wait_for_id("m").await;
        assert_eq!(entry.request.blake3, Digest::of(body.as_bytes()), "the provider gets the credentials");
        assert_eq!(entry.response.blake3, Digest::of(&answer.body), "the caller gets them back");
        let answered = String::from_utf8(answer.body).unwrap();
        assert!(answered.contains("hush-2"), "the provider tells the tools back");
        let record = rig.record().await;
        check(&rig, &record, Leg::ClientRequest, &body, &record.request);
        check(&rig, &record, Leg::ClientResponse, &answered, &record.response);
        let shown = String::from_utf8(record.request.to_vec()).unwrap();
        assert!(
            shown.contains(r#""server_url":"https://mcp.example","\u0061uthorization":"redacted:"#),
            "{shown}"
        );
        assert!(shown.contains(r#""headers":{"X-Key":"redact","X-More":["redact"]}"#), "{shown}");
    }
}

#[tokio::test]
async fn an_ephemeral_key_in_an_answer_is_not_recorded() {
    let rig = Rig::start().await;
    let headers = [("content-type", "application/json"), ("x-mock-id", "s")];
    let answer = post(rig.address, "/plain/echo", &headers, SESSION.as_bytes()).await;
    assert_eq!(answer.body, SESSION.as_bytes(), "the caller gets its key");
    let entry = rig.mock.ledger().wait_for_id("s").await;
    assert_eq!(entry.response.blake3, Digest::of(SESSION.as_bytes()));
    let record = rig.record().await;
    check(&rig, &record, Leg::ClientRequest, SESSION, &record.request);
    check(&rig, &record, Leg::ClientResponse, SESSION, &record.response);
    let expected =
        r#"{"id":"sess_1","client_secret":{"value":"redact","expires_at":1},"value":"ek_redacted:****"}"#;
    assert_eq!(record.response, expected);
}

#[tokio::test]
async fn forms_and_configured_keys_are_hidden_too() {
    let rig = Rig::with(|config| config.redaction.body = vec!["pin".to_owned()]).await;
    let form = "grant_type=client_credentials&client_id=c&client%5Fsecret=hush-1&pin=hush-2";
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = post(rig.address, "/plain/echo", &headers, form.as_bytes()).await;
    assert_eq!(answer.body, form.as_bytes());
    let json = r#"{"pin":"hush-3","n":1}"#;
    post(rig.address, "/plain/echo", &[("content-type", "application/json")], json.as_bytes()).await;
    let records = rig.records(2).await;
    let expected = "grant_type=client_credentials&client_id=c&client%5Fsecret=redact&pin=redact";
    let found = |body: &str| records.iter().any(|one| one.request == body && one.response == body);
    assert!(found(expected) && found(r#"{"pin":"redact","n":1}"#), "{records:?}");
    assert!(!is_in_log(&rig, "hush"));
}

#[tokio::test]
async fn what_is_recorded_while_a_body_passes_holds_no_credential() {
    let rig = Rig::start().await;
    let (first, rest) = MCP.split_at(MCP.find("hush-2").unwrap() + 2);
    let mut connection = Connection::open(rig.address).await;
    let headers = [("content-type", "application/json"), ("x-mock-id", "p")];
    connection.send(crate::support::head("POST", "/v1/responses", &headers, Some(MCP.len()))).await;
    connection.send(first).await;
    // The beginning is in the log before the rest is sent: a credential is cut in two.
    until(|| is_in_log(&rig, r#"X-Key\":\"re"#)).await;
    connection.send(rest).await;
    assert_eq!(connection.receive("POST").await.status, 200);
    let record = rig.record().await;
    check(&rig, &record, Leg::ClientRequest, MCP, &record.request);
}

/// A provider that gives one answer, byte for byte.
async fn answering(answer: &'static str, tasks: &mut JoinSet<()>) -> BaseUrl {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        // Until the gateway has read it all.
        let _ = stream.read_buf(&mut request).await;
    });
    base_url
}

#[tokio::test]
async fn credentials_are_known_by_the_parts_of_names_in_heads_urls_and_trailers() {
    let mut tasks = JoinSet::new();
    let answer = "HTTP/1.1 200 OK\r\nx-auth-token: hush-1\r\nx-goog-upload-url: https://a.example/u?upload_id=hush-2\r\n\
        x-ratelimit-remaining-tokens: 7\r\ntrailer: x-session-token\r\ntransfer-encoding: chunked\r\n\r\n\
        2\r\nok\r\n0\r\nx-session-token: hush-3\r\nx-more: kept\r\n\r\n";
    let base_url = answering(answer, &mut tasks).await;
    let rig = Rig::with(|config| {
        config.providers[4] = Provider::new("plain", verbatim_core::model::ProviderDialect::Raw, base_url);
    })
    .await;
    let path = "/plain/a?subscription-key=hush-4&Signature=hush-5&max_tokens=9";
    let headers = [
        ("xi-api-key", "hush-6"),
        ("cf-aig-authorization", "Bearer hush-7"),
        ("referer", "https://a.example/?token=hush-8"),
        ("idempotency-key", "once"),
    ];
    let answer = crate::support::get(rig.address, path, &headers).await;
    assert_eq!(
        (answer.status, answer.header("x-auth-token")),
        (200, Some("hush-1")),
        "what passes is as it was"
    );
    let record = rig.record().await;
    assert!(!is_in_log(&rig, "hush"), "{record:?}");
    assert!(record.start.path.ends_with("&max_tokens=9"), "{}", record.start.path);
    assert_eq!(record.header("idempotency-key").as_deref(), Some("once"));
    let head = record.heads.iter().find(|head| head.leg == u32::from(Leg::ClientResponse.number())).unwrap();
    let limit = head.headers.iter().find(|header| header.name == "x-ratelimit-remaining-tokens").unwrap();
    assert_eq!(limit.value, "7");
    let trailers = &record.leg(Leg::ClientResponse).trailers;
    let trailer = |name: &str| trailers.iter().find(|header| header.name == name).unwrap().value.clone();
    assert_eq!(trailer("x-more"), "kept");
    assert!(trailer("x-session-token").starts_with(b"redacted:"));
}
