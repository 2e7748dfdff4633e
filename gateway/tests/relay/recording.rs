//! What of a call is recorded, by the caller's wish.

use verbatim_core::model::{Leg, Outcome};

use crate::support::{Rig, post};

const CHAT: &str = r#"{"model":"m-1","stream":false,"messages":[{"role":"user","content":"hello"}]}"#;

#[tokio::test]
async fn meta_leaves_the_bodies_out_and_keeps_what_is_said_of_them() {
    let rig = Rig::start().await;
    let headers = [("x-verbatim-record", "meta"), ("x-title", "app")];
    let answer = post(rig.address, "/v1/chat/completions", &headers, CHAT.as_bytes()).await;
    let record = rig.record().await;
    assert_eq!(record.outcome(), Outcome::Completed);
    assert!(record.request.is_empty() && record.response.is_empty());
    for (leg, length) in [(Leg::ClientRequest, CHAT.len()), (Leg::ClientResponse, answer.body.len())] {
        let summary = record.leg(leg);
        assert!(summary.withheld);
        assert_eq!((summary.length, summary.lost), (length as u64, 0));
    }
    assert_eq!(record.start.caller.clone().unwrap().app.as_deref(), Some("app"));
    assert!(!record.start.headers.is_empty());
    let asked = record.start.model_asked.clone().or(record.end.facts.get("model_asked").cloned());
    assert_eq!(asked.as_deref(), Some("m-1"));
}

#[tokio::test]
async fn off_keeps_method_path_status_and_times_only() {
    let rig = Rig::start().await;
    let headers = [
        ("x-verbatim-record", "off"),
        ("x-title", "app"),
        ("x-verbatim-session", "s"),
        ("x-verbatim-tags", "t"),
        ("authorization", "Bearer k"),
    ];
    post(rig.address, "/v1/chat/completions", &headers, CHAT.as_bytes()).await;
    let record = rig.record().await;
    assert_eq!((record.outcome(), record.end.status), (Outcome::Completed, Some(200)));
    assert_eq!((record.start.method.as_str(), record.start.path.as_str()), ("POST", "/v1/chat/completions"));
    assert!(record.end.duration_us > 0 && record.start.began_unix_us > 0);
    assert!(record.start.headers.is_empty() && record.start.tags.is_empty());
    assert!(record.heads.iter().all(|head| head.headers.is_empty()));
    assert_eq!(record.start.caller.clone().unwrap_or_default(), Default::default());
    assert_eq!((&record.start.session, &record.start.model_asked), (&None, &None));
    assert!(record.start.upstream_url.is_empty());
    assert!(record.request.is_empty() && record.response.is_empty());
    assert!(!record.end.facts.contains_key("model_asked"));
}

#[tokio::test]
async fn configured_headers_and_parameters_are_hidden_too() {
    let rig = Rig::with(|config| {
        config.redaction.headers = vec!["X-Team-Secret".to_owned()];
        config.redaction.query = vec!["pin".to_owned()];
    })
    .await;
    let headers = [("x-team-secret", "hush-1"), ("cookie", "hush-2"), ("x-mock-id", "r")];
    post(rig.address, "/v1/chat/completions?pin=hush-3&api_key=hush-4", &headers, CHAT.as_bytes()).await;
    let entry = rig.mock.ledger().wait_for_id("r").await;
    assert_eq!(
        entry.target, "/v1/chat/completions?pin=hush-3&api_key=hush-4",
        "what is forwarded is unchanged"
    );
    assert_eq!(entry.request_headers.get("x-team-secret"), Some("hush-1"));
    let record = rig.record().await;
    let all = format!("{:?} {:?}", record.start, record.end);
    assert!(!all.contains("hush"), "{all}");
}

#[tokio::test]
async fn a_model_that_comes_after_a_huge_list_is_found() {
    let rig = Rig::start().await;
    let body =
        format!(r#"{{"messages":[{{"role":"user","content":"{}"}}],"model":"last"}}"#, "a".repeat(3_000_000));
    let answer =
        post(rig.address, "/v1/chat/completions", &[("x-verbatim-record", "meta")], body.as_bytes()).await;
    assert_eq!(answer.status, 200);
    let record = rig.record().await;
    assert_eq!(record.end.facts.get("model_asked").or(record.start.model_asked.as_ref()).unwrap(), "last");
}
