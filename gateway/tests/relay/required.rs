//! Capture that is required: nothing goes unrecorded.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use verbatim_core::model::Outcome;
use verbatim_core::ports::MessageKind;
use verbatim_gateway::{CaptureMode, Timeouts};
use verbatim_testkit::Fault;

use crate::support::{After, Connection, Rig, TestLog, get, head, post, records, until};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;

async fn rig(spool: bool) -> Rig {
    Rig::over(TestLog::new(), spool.then(TestLog::new), |config| {
        config.capture = CaptureMode::Required;
        config.timeouts.acknowledge = Duration::from_millis(200);
    })
    .await
}

#[tokio::test]
async fn a_call_that_completes_is_durable_before_its_caller_sees_its_end() {
    let rig = rig(false).await;
    for (path, body, directives) in [
        ("/v1/chat/completions", CHAT, ""),
        ("/v1/chat/completions", STREAM, "chunks=9; flush"),
        ("/v1/chat/completions", CHAT, "status=204"),
        ("/v1/chat/completions", CHAT, "status=500"),
        ("/nobody/v1/chat/completions", CHAT, ""),
    ] {
        let answer = post(rig.address, path, &[("x-mock", directives)], body.as_bytes()).await;
        assert_eq!(answer.after, After::Whole, "{directives}");
        let record = crate::support::record_of(&rig.log.memory, answer.id());
        let record = record.expect("the record is there when the answer is");
        assert_eq!(record.response, answer.body);
    }
}

#[tokio::test]
async fn the_last_bytes_are_withheld_until_the_end_is_durable() {
    let rig = rig(false).await;
    rig.log.faulty.set_for_messages(Fault::Slow(Duration::from_millis(100)), |message| {
        message.kind == MessageKind::End
    });
    for (body, directives) in [(CHAT, ""), (STREAM, "chunks=5; flush")] {
        let answer =
            post(rig.address, "/v1/chat/completions", &[("x-mock", directives)], body.as_bytes()).await;
        assert_eq!(answer.after, After::Whole);
        assert!(crate::support::record_of(&rig.log.memory, answer.id()).is_some());
    }
}

#[tokio::test]
async fn a_call_that_can_not_be_recorded_is_refused_before_the_provider_sees_it() {
    for fault in [Fault::Fail, Fault::Stall] {
        let rig = rig(false).await;
        rig.log.faulty.set(fault);
        let answer = post(rig.address, "/v1/messages", &[], CHAT.as_bytes()).await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.json()["type"], "error");
        assert_eq!(rig.mock.ledger().totals().begun, 0);
        // Once it can be, the refusal is recorded.
        rig.log.faulty.recover();
        until(|| !records(&rig.log.memory).is_empty()).await;
        assert!(records(&rig.log.memory).iter().all(|record| record.outcome() == Outcome::Refused));
        let answer = post(rig.address, "/v1/chat/completions", &[], CHAT.as_bytes()).await;
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn the_spool_is_enough() {
    let rig = rig(true).await;
    rig.log.faulty.cut_off();
    let answer = post(rig.address, "/v1/chat/completions", &[], CHAT.as_bytes()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(rig.health.snapshot().spooled, 1, "it is durable in the spool when the caller has it");
    rig.log.faulty.recover();
    assert_eq!(rig.record().await.response, answer.body);
}

#[tokio::test]
async fn when_both_refuse_the_provider_sees_nothing() {
    let rig = rig(true).await;
    rig.log.faulty.cut_off();
    rig.spool.as_ref().unwrap().faulty.cut_off();
    let answer = post(rig.address, "/v1/chat/completions", &[], CHAT.as_bytes()).await;
    assert_eq!(answer.status, 503);
    assert_eq!(rig.mock.ledger().totals().begun, 0);
}

#[tokio::test]
async fn an_end_that_can_not_be_kept_never_reaches_the_caller_and_its_record_says_so_once_it_can() {
    for (body, directives, status) in
        [(CHAT, "", 200), (STREAM, "chunks=5; flush", 200), (CHAT, "status=204", 503)]
    {
        let rig = rig(false).await;
        rig.log.faulty.set_for_messages(Fault::Fail, |message| message.kind == MessageKind::End);
        let answer =
            post(rig.address, "/v1/chat/completions", &[("x-mock", directives)], body.as_bytes()).await;
        // Without a body to cut, the head is what is withheld.
        assert!(answer.after != After::Whole || answer.status == 503, "{directives}");
        assert_eq!(answer.status, status, "{directives}");
        rig.log.faulty.recover();
        let record = rig.record().await;
        assert_eq!((record.id.to_string(), record.outcome()), (answer.id().to_string(), Outcome::TimedOut));
        assert_eq!(record.end.status, Some(status.into()), "{directives}");
        let why = record.end.error.unwrap();
        assert!(why.contains("within 600ms") && why.contains("did not get the end"), "{why}");
        assert!(status == 503 || record.response.starts_with(&answer.body), "{directives}");
    }
}

#[tokio::test]
async fn a_slow_log_holds_a_long_body_back_instead_of_losing_it() {
    let rig = Rig::over(TestLog::new(), None, |config| {
        config.capture = CaptureMode::Required;
        config.queue.total = 2 << 20;
        config.queue.exchange = 1 << 20;
    })
    .await;
    rig.log.faulty.set(Fault::Slow(Duration::from_millis(30)));
    let answer = get(rig.address, "/plain/raw/8000000", &[]).await;
    assert_eq!((answer.body.len(), answer.after), (8_000_000, After::Whole));
    let record = crate::support::record_of(&rig.log.memory, answer.id()).unwrap();
    assert_eq!((record.lost(), record.response.len()), (0, 8_000_000));
}

#[tokio::test]
async fn a_body_that_can_not_be_recorded_is_not_held_back_for_ever() {
    type Limit = fn(&mut Timeouts) -> &mut Duration;
    let limits: [(Limit, &str); 2] =
        [(|times| &mut times.idle, "(idle)"), (|times| &mut times.total, "(total)")];
    for (limit, name) in limits {
        let rig = Rig::over(TestLog::new(), None, |config| {
            config.capture = CaptureMode::Required;
            config.queue.total = 2 << 20;
            config.queue.exchange = 1 << 20;
            *limit(&mut config.timeouts) = Duration::from_millis(500);
        })
        .await;
        rig.log.faulty.set_for_messages(Fault::Fail, |message| message.kind != MessageKind::Start);
        let answer = get(rig.address, "/plain/raw/8000000", &[]).await;
        assert_ne!(answer.after, After::Whole, "{name}");
        rig.log.faulty.recover();
        let record = rig.record().await;
        assert_eq!(record.outcome(), Outcome::TimedOut);
        assert!(record.response.starts_with(&answer.body), "what the caller has is recorded");
        assert!(record.end.error.unwrap().contains(name));
    }
}

/// Takes starts and nothing else, and has little room in memory.
async fn full_behind_the_start() -> Rig {
    let rig = Rig::over(TestLog::new(), None, |config| {
        config.capture = CaptureMode::Required;
        config.timeouts.acknowledge = Duration::from_millis(100);
        config.queue.total = 2 << 20;
        config.queue.exchange = 1 << 20;
    })
    .await;
    rig.log.faulty.set_for_messages(Fault::Fail, |message| message.kind != MessageKind::Start);
    rig
}

/// What the only record says of it, once it can be stored.
async fn said_afterwards(rig: &Rig) -> crate::support::Record {
    rig.log.faulty.recover();
    let record = rig.record().await;
    assert_eq!(record.outcome(), Outcome::TimedOut);
    let why = record.end.error.clone().unwrap();
    assert!(why.contains("within 300ms") && why.contains("(acknowledge)"), "{why}");
    record
}

#[tokio::test]
async fn an_answer_that_finds_no_room_is_cut_soon_and_its_record_says_why() {
    let rig = full_behind_the_start().await;
    let answer = get(rig.address, "/plain/raw/8000000", &[]).await;
    assert_eq!(answer.status, 200);
    assert_ne!(answer.after, After::Whole);
    let record = said_afterwards(&rig).await;
    assert!(!answer.body.is_empty() && record.response.starts_with(&answer.body));
}

#[tokio::test]
async fn a_request_that_finds_no_room_is_told_so_in_its_dialect() {
    let rig = full_behind_the_start().await;
    let mut connection = Connection::open(rig.address).await;
    connection.send(head("POST", "/v1/messages", &[], Some(8_000_000))).await;
    connection.send(vec![b'x'; 1_500_000]).await;
    let answer = connection.receive("POST").await;
    assert_eq!(answer.status, 503);
    let body = answer.json();
    assert_eq!(body["type"], "error");
    assert!(body["error"]["message"].as_str().unwrap().contains("neither capture log nor spool"), "{body}");
    let record = said_afterwards(&rig).await;
    assert_eq!(record.end.status, Some(503));
    assert!(!record.request.is_empty() && record.request.len() < 1_500_000);
}

#[tokio::test]
async fn a_tunnel_that_finds_no_room_is_closed_soon() {
    let rig = full_behind_the_start().await;
    let mut connection = crate::tunnels::open(&rig).await;
    let frames = crate::tunnels::frame(2, &[7; 120]).repeat(12_000);
    // It may be closed before all of it was taken.
    let _ = connection.stream.write_all(&frames).await;
    assert_ne!(connection.ending().await, After::Whole);
    said_afterwards(&rig).await;
}

#[tokio::test]
async fn a_caller_that_leaves_is_recorded_too() {
    let rig = rig(false).await;
    let mut connection = Connection::open(rig.address).await;
    let headers = [("x-mock", "chunks=9; hang-after=2; flush")];
    connection.send(head("POST", "/v1/chat/completions", &headers, Some(STREAM.len()))).await;
    connection.send(STREAM).await;
    connection.head().await.unwrap();
    drop(connection);
    assert_eq!(rig.record().await.outcome(), Outcome::ClientAborted);
}

#[tokio::test]
async fn a_caller_that_leaves_while_its_end_is_withheld_did_not_get_it() {
    let rig = Rig::over(TestLog::new(), None, |config| config.capture = CaptureMode::Required).await;
    rig.log.faulty.set_for_messages(Fault::Fail, |message| message.kind == MessageKind::End);
    let mut connection = Connection::open(rig.address).await;
    connection.send(head("POST", "/v1/chat/completions", &[], Some(CHAT.len()))).await;
    connection.send(CHAT).await;
    connection.head().await.unwrap();
    until(|| rig.log.faulty.failed() > 0).await;
    drop(connection);
    until(|| rig.health.snapshot().in_flight == 0).await;
    rig.log.faulty.recover();
    assert_eq!(rig.record().await.outcome(), Outcome::ClientAborted);
}
