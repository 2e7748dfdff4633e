//! What the gateway itself answers: its endpoints, refusals, preflights.

use http::HeaderName;
use verbatim_core::model::Outcome;
use verbatim_gateway::{Cors, Gateway, GatewayError, Ports, Secret};

use crate::support::{Connection, Rig, TestLog, config, get, post, until};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;

#[tokio::test]
async fn its_own_endpoints_are_short_and_not_recorded() {
    let rig = Rig::start().await;
    for path in ["/", "/health", "/healthz", "/livez", "/readyz"] {
        let answer = get(rig.address, path, &[]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body.len() < 1000 && !answer.body.is_empty());
    }
    assert_eq!(get(rig.address, "/readyz", &[]).await.json()["status"], "ok");
    assert!(rig.log.memory.messages().is_empty());
    assert_eq!(rig.mock.ledger().totals().begun, 0);
}

#[tokio::test]
async fn an_unknown_provider_is_refused_in_the_callers_dialect_and_recorded() {
    let rig = Rig::start().await;
    let answer = post(rig.address, "/nobody/v1/chat/completions", &[], CHAT.as_bytes()).await;
    assert_eq!(answer.status, 404);
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("unknown provider \"nobody\""), "{message}");
    let answer = post(rig.address, "/nobody/v1/messages", &[], CHAT.as_bytes()).await;
    assert_eq!(answer.json()["type"], "error");
    let records = rig.records(2).await;
    for record in records {
        assert_eq!((record.outcome(), record.end.status), (Outcome::Refused, Some(404)));
        assert!(record.start.path.starts_with("/nobody/v1/"));
        assert!(!record.response.is_empty(), "what the caller got is recorded");
    }
    assert_eq!(rig.mock.ledger().totals().begun, 0);
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused_and_recorded() {
    let rig = Rig::start().await;
    let long = "x".repeat(70_000);
    let answer = post(rig.address, "/v1/messages", &[("x-long", &long)], CHAT.as_bytes()).await;
    assert_eq!(answer.status, 431);
    assert_eq!(answer.json()["error"]["type"], "request_too_large");
    assert_eq!(rig.record().await.outcome(), Outcome::Refused);
    assert_eq!(rig.mock.ledger().totals().begun, 0);
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_recorded() {
    let rig = Rig::start().await;
    for garbage in ["GET / HTTP/9.9\r\n\r\n", "NONSENSE\r\n\r\n", "GET /v1 HTTP/1.1\r\nbad header\r\n\r\n"] {
        let mut connection = Connection::open(rig.address).await;
        connection.send(garbage).await;
        assert_eq!(connection.receive("GET").await.status, 400, "{garbage}");
    }
    let records = rig.records(3).await;
    assert!(records.iter().all(|record| record.outcome() == Outcome::Refused));
}

#[tokio::test]
async fn an_unreadable_wish_for_the_record_is_refused() {
    let rig = Rig::start().await;
    let headers = [("x-verbatim-record", "none")];
    let answer = post(rig.address, "/v1/chat/completions", &headers, CHAT.as_bytes()).await;
    assert_eq!(answer.status, 400);
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("expected one of full, meta, off"));
    assert_eq!(rig.record().await.outcome(), Outcome::Refused);
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_call_and_others_pass_as_they_are() {
    let rig = Rig::with(|config| config.cors = Cors::Origins(vec!["https://app.example".to_owned()])).await;
    let asked = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ];
    let mut connection = Connection::open(rig.address).await;
    let preflight = connection.call("OPTIONS", "/v1/chat/completions", &asked, b"").await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("authorization"));
    let answer = post(rig.address, "/v1/chat/completions", &asked[..1], CHAT.as_bytes()).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    let other = [("origin", "https://evil.example")];
    let answer = post(rig.address, "/v1/chat/completions", &other, CHAT.as_bytes()).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    rig.records(2).await;
}

#[tokio::test]
async fn stored_credentials_are_lent_only_where_configured() {
    let with = |default_key: bool, allow: bool| {
        Rig::with(move |config| {
            config.default_key = default_key;
            config.allow_passthrough_keys = allow;
            config.providers[0].api_key = Some(Secret::new("stored".to_owned()));
            config.providers[0].headers = vec![(
                HeaderName::from_static("x-team"),
                Secret::new(http::HeaderValue::from_static("blue")),
            )];
        })
    };
    for (default_key, own, expected) in [
        (true, None, Some("Bearer stored")),
        (true, Some("Bearer own"), Some("Bearer own")),
        (false, None, None),
    ] {
        let rig = with(default_key, true).await;
        let mut headers = vec![("x-mock-id", "k")];
        headers.extend(own.map(|own| ("authorization", own)));
        post(rig.address, "/v1/chat/completions", &headers, CHAT.as_bytes()).await;
        let entry = rig.mock.ledger().wait_for_id("k").await;
        assert_eq!(entry.request_headers.get("authorization"), expected);
        assert_eq!(entry.request_headers.get("x-team"), Some("blue"));
    }
    let rig = with(true, true).await;
    for page in [
        &[("origin", "https://evil.example")][..],
        &[("sec-fetch-site", "cross-site")],
        &[("host", "evil.example:8080")],
    ] {
        let answer = post(rig.address, "/v1/chat/completions", page, CHAT.as_bytes()).await;
        assert_eq!(answer.status, 401, "{page:?}");
        assert_eq!(rig.record().await.outcome(), Outcome::Refused);
    }
    assert_eq!(rig.mock.ledger().totals().begun, 0);
    let rig = with(true, false).await;
    for own in [
        &[("authorization", "Bearer own")][..],
        &[("authorization", ""), ("x-api-key", "own")],
        &[("xi-api-key", "own")],
    ] {
        let answer = post(rig.address, "/v1/chat/completions", own, CHAT.as_bytes()).await;
        assert_eq!(answer.status, 401, "{own:?}");
    }
    assert!(rig.records(3).await.iter().all(|record| record.outcome() == Outcome::Refused));
    assert_eq!(rig.mock.ledger().totals().begun, 0);
    let own = [("x-mock-id", "k"), ("x-api-key", ""), ("cookie", "a=b")];
    assert_eq!(post(rig.address, "/v1/chat/completions?key=&a=1", &own, CHAT.as_bytes()).await.status, 200);
    let entry = rig.mock.ledger().wait_for_id("k").await;
    assert_eq!(entry.target, "/v1/chat/completions?a=1");
    let sent = |name: &str| entry.request_headers.get(name);
    assert_eq!(
        (sent("authorization"), sent("x-api-key"), sent("cookie")),
        (Some("Bearer stored"), None, None)
    );
}

#[tokio::test]
async fn a_provider_on_this_machine_is_not_lent_to_web_pages() {
    let rig = Rig::with(|config| config.cors = Cors::Origins(vec!["https://app.example".to_owned()])).await;
    let page = [("origin", "https://evil.example")];
    let socket = [page[0], ("connection", "upgrade"), ("upgrade", "websocket")];
    let rebound = [("host", "evil.example:8080"), ("authorization", "Bearer any")];
    for (path, headers) in [
        ("/ollama/api/chat", &page[..]),
        // It needs no leave to add this.
        ("/ollama/api/chat?key=any", &page),
        ("/ollama/api/chat", &socket),
        ("/ollama/api/chat", &rebound),
        ("/ollama/api/chat", &[("host", "evil.example:80:80")]),
    ] {
        let answer = get(rig.address, path, headers).await;
        assert_eq!(answer.status, 401, "{path} {headers:?}");
        let message = String::from_utf8(answer.body).unwrap();
        assert!(message.contains("a provider on this machine or its network is"), "{message}");
    }
    assert!(rig.records(5).await.iter().all(|record| record.outcome() == Outcome::Refused));
    assert_eq!(rig.mock.ledger().totals().begun, 0);
    let allowed = [("origin", "https://app.example"), ("host", "evil.example")];
    assert_eq!(post(rig.address, "/v1/chat/completions", &allowed, CHAT.as_bytes()).await.status, 200);
}

#[tokio::test]
async fn one_upstream_takes_every_path() {
    let rig = Rig::with(|config| config.upstream = Some(config.providers[0].clone())).await;
    for path in [
        "/v1/chat/completions",
        "/anthropic/v1/chat/completions",
        "/chat/completions",
        "/~s/v1/chat/completions",
    ] {
        let answer = post(rig.address, path, &[], CHAT.as_bytes()).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    let entries = rig.mock.ledger().entries();
    assert!(entries.iter().all(|entry| entry.target == "/v1/chat/completions"));
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_line() {
    let rig = Rig::start().await;
    let mut config = config(&rig.mock.base_url());
    config.listen = rig.address;
    let log = TestLog::new();
    let ports =
        Ports { log: log.port(), spool: None, clock: std::sync::Arc::new(verbatim_core::ports::SystemClock) };
    let Err(error) = Gateway::bind(config, ports).await else { panic!("the port is in use") };
    assert!(matches!(error, GatewayError::Bind { .. }));
    let line = error.to_string();
    assert!(line.contains(&rig.address.to_string()) && !line.contains('\n'), "{line}");
}

#[tokio::test]
async fn a_log_that_is_down_degrades_readiness() {
    let rig = Rig::start().await;
    rig.log.faulty.cut_off();
    post(rig.address, "/v1/chat/completions", &[], CHAT.as_bytes()).await;
    until(|| !rig.health.snapshot().log_up).await;
    let ready = get(rig.address, "/readyz", &[]).await;
    assert_eq!((ready.status, ready.json()["status"].as_str().unwrap()), (200, "degraded"));
    rig.log.faulty.recover();
    rig.record().await;
    until(|| rig.health.snapshot().log_up).await;
}
