//! How a gateway stops.

use std::time::Duration;

use tokio::net::TcpStream;
use verbatim_core::model::Outcome;
use verbatim_core::ports::MessageKind;
use verbatim_proto::decode;
use verbatim_proto::v1::envelope::Message as Body;
use verbatim_testkit::Fault;

use crate::support::{After, Connection, Rig, TestLog, head, post, records, soon};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;

async fn stream(rig: &Rig, directives: &str) -> Connection {
    let mut connection = Connection::open(rig.address).await;
    connection
        .send(head("POST", "/v1/chat/completions", &[("x-mock", directives)], Some(STREAM.len())))
        .await;
    connection.send(STREAM).await;
    connection
}

#[tokio::test]
async fn streams_under_way_finish_and_no_new_calls_are_taken() {
    let mut rig = Rig::start().await;
    let mut connection = stream(&rig, "chunks=30; chunk-delay=10ms; flush").await;
    soon(rig.mock.ledger().wait_for_begun(1)).await;
    rig.stop.cancel();
    let answer = connection.receive("POST").await;
    assert_eq!(answer.after, After::Whole);
    rig.stopped().await;
    assert!(TcpStream::connect(rig.address).await.is_err());
    assert_eq!(rig.record().await.outcome(), Outcome::Completed);
}

#[tokio::test]
async fn what_is_not_over_in_time_is_interrupted_and_recorded_as_such() {
    let mut rig = Rig::with(|config| config.timeouts.drain = Duration::from_millis(100)).await;
    let mut connection = stream(&rig, "chunks=30; hang-after=3; flush").await;
    connection.head().await.unwrap();
    let mut waiting = stream(&rig, "hang=head").await;
    soon(rig.mock.ledger().wait_for_begun(2)).await;
    rig.shutdown().await;
    assert_ne!(connection.receive("POST").await.after, After::Whole);
    assert_ne!(waiting.ending().await, After::Whole);
    let records = rig.records(2).await;
    assert!(records.iter().all(|record| record.outcome() == Outcome::Interrupted), "{records:?}");
}

#[tokio::test]
async fn idle_connections_do_not_hold_a_shutdown_up() {
    let mut rig = Rig::start().await;
    let mut connection = Connection::open(rig.address).await;
    connection.call("POST", "/v1/chat/completions", &[], CHAT.as_bytes()).await;
    let _never_used = Connection::open(rig.address).await;
    let began = std::time::Instant::now();
    rig.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    rig.record().await;
}

#[tokio::test]
async fn everything_captured_is_flushed_under_load() {
    let mut rig = Rig::with(|config| config.timeouts.drain = Duration::from_secs(10)).await;
    rig.log.faulty.set(Fault::Slow(Duration::from_millis(30)));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let address = rig.address;
        calls.spawn(async move {
            let mut whole = 0;
            // Until the gateway takes no more.
            while let Ok(stream) = TcpStream::connect(address).await {
                drop(stream);
                let answer = tokio::time::timeout(Duration::from_secs(20), post_or_nothing(address));
                match answer.await.unwrap() {
                    Some(true) => whole += 1,
                    Some(false) => {}
                    None => break,
                }
            }
            whole
        });
    }
    soon(rig.mock.ledger().wait_for_begun(200)).await;
    rig.shutdown().await;
    let mut whole = 0;
    while let Some(done) = soon(calls.join_next()).await {
        whole += done.unwrap();
    }
    let found = records(&rig.log.memory);
    let completed = found.iter().filter(|record| record.outcome() == Outcome::Completed).count();
    assert!(completed >= whole, "{completed} recorded, {whole} seen whole");
    assert_eq!(found.len() as u64, rig.mock.ledger().totals().begun);
    let health = rig.health.snapshot();
    assert_eq!((health.lost_bytes, health.unrecorded, health.in_flight), (0, 0, 0));
}

/// Whether a call came back whole; nothing where the gateway does not answer any more.
async fn post_or_nothing(address: std::net::SocketAddr) -> Option<bool> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = head("POST", "/v1/chat/completions", &[("connection", "close")], Some(CHAT.len())) + CHAT;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer).await.ok()?;
    (read > 0).then(|| answer.starts_with(b"HTTP/1.1 200"))
}

#[tokio::test]
async fn what_the_log_does_not_take_at_the_end_is_spooled() {
    let mut rig = Rig::over(TestLog::new(), Some(TestLog::new()), |config| {
        config.timeouts.acknowledge = Duration::from_millis(200);
    })
    .await;
    rig.log.faulty.set(Fault::Stall);
    for _ in 0..5 {
        post(rig.address, "/v1/chat/completions", &[], CHAT.as_bytes()).await;
    }
    rig.shutdown().await;
    assert!(rig.log.memory.messages().is_empty());
    assert_eq!(rig.health.snapshot().spooled, 5);
    assert_eq!(rig.health.snapshot().unrecorded, 0);
}

#[tokio::test]
async fn what_nothing_takes_at_the_end_is_counted() {
    let mut rig = Rig::with(|config| config.timeouts.acknowledge = Duration::from_millis(50)).await;
    rig.log.faulty.cut_off();
    for _ in 0..5 {
        post(rig.address, "/v1/chat/completions", &[], CHAT.as_bytes()).await;
    }
    rig.shutdown().await;
    assert_eq!(rig.health.snapshot().unrecorded, 5);
}

#[tokio::test]
async fn the_bytes_of_an_end_that_nothing_takes_are_counted() {
    let mut rig = Rig::with(|config| config.timeouts.acknowledge = Duration::from_millis(50)).await;
    rig.log.faulty.set_for_messages(Fault::Fail, |message| message.kind == MessageKind::End);
    let mut connection = stream(&rig, "chunks=5; chunk-delay=20ms; flush").await;
    let answer = connection.receive("POST").await;
    assert_eq!(answer.after, After::Whole);
    rig.shutdown().await;
    let mut stored = 0;
    for (_, message) in rig.log.memory.messages() {
        stored += match decode(message.payload).unwrap().message {
            Body::Start(start) => start.request.map_or(0, |piece| piece.data.len()),
            Body::Part(part) => part.pieces.iter().map(|piece| piece.data.len()).sum(),
            Body::End(_) => panic!("no end is taken"),
        };
    }
    let health = rig.health.snapshot();
    assert_eq!(health.lost_bytes as usize + stored, STREAM.len() + answer.body.len());
    assert_eq!(health.unrecorded, 0);
}
