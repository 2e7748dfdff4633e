//! The four times that can run out.

use std::time::Duration;

use verbatim_core::model::Outcome;
use verbatim_mock_provider::Ending;

use crate::support::{After, Connection, Rig, get, head, post, soon};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn no_head_in_time_is_told_as_504_and_cancels_the_call() {
    let rig = Rig::with(|config| config.timeouts.first_byte = SHORT).await;
    let headers = [("x-mock", "hang=head"), ("x-mock-id", "t")];
    let answer = post(rig.address, "/v1/messages", &headers, CHAT.as_bytes()).await;
    assert_eq!(answer.status, 504);
    assert_eq!(answer.json()["error"]["type"], "timeout_error");
    assert_eq!(soon(rig.mock.ledger().wait_for_id("t")).await.ending, Ending::PeerLeft);
    let record = rig.record().await;
    assert_eq!(record.outcome(), Outcome::TimedOut);
    assert!(record.end.error.unwrap().contains("(first_byte)"));
}

#[tokio::test]
async fn a_connection_that_is_not_taken_in_time_is_told_as_504() {
    // A listener that accepts nothing: once its backlog is full, connections wait.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(stream) = tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(address)).await {
        filling.push(stream.unwrap());
    }
    let rig = Rig::with(|config| {
        config.providers[0].base_url = format!("http://{address}/v1").parse().unwrap();
        config.timeouts.connect = SHORT;
    })
    .await;
    let answer = post(rig.address, "/v1/chat/completions", &[], CHAT.as_bytes()).await;
    assert_eq!(answer.status, 504);
    let record = rig.record().await;
    assert_eq!(record.outcome(), Outcome::TimedOut);
    assert!(record.end.error.unwrap().contains("can't connect to the provider within"));
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_cut_and_never_looks_whole() {
    let rig = Rig::with(|config| config.timeouts.idle = SHORT).await;
    let headers = [("x-mock", "chunks=9; hang-after=3; flush"), ("x-mock-id", "t")];
    let answer = post(rig.address, "/v1/chat/completions", &headers, STREAM.as_bytes()).await;
    assert_eq!(answer.status, 200);
    assert_ne!(answer.after, After::Whole);
    assert!(!answer.body.is_empty());
    assert_eq!(soon(rig.mock.ledger().wait_for_id("t")).await.ending, Ending::PeerLeft);
    let record = rig.record().await;
    assert_eq!(record.outcome(), Outcome::TimedOut);
    assert_eq!(record.response, answer.body);
}

#[tokio::test]
async fn a_stream_that_goes_on_is_not_idle_however_long_it_is() {
    let rig = Rig::with(|config| config.timeouts.idle = SHORT * 8).await;
    let headers = [("x-mock", "chunks=16; chunk-delay=100ms; flush")];
    let answer = post(rig.address, "/v1/chat/completions", &headers, STREAM.as_bytes()).await;
    assert_eq!(answer.after, After::Whole);
    assert_eq!(rig.record().await.outcome(), Outcome::Completed);
}

#[tokio::test]
async fn a_call_that_takes_too_long_as_a_whole_is_cut() {
    let rig = Rig::with(|config| config.timeouts.total = SHORT * 2).await;
    let headers = [("x-mock", "chunks=1000; chunk-delay=5ms; flush")];
    let answer = post(rig.address, "/v1/chat/completions", &headers, STREAM.as_bytes()).await;
    assert_ne!(answer.after, After::Whole);
    let record = rig.record().await;
    assert_eq!(record.outcome(), Outcome::TimedOut);
    assert!(record.end.error.unwrap().contains("(total)"));
}

#[tokio::test]
async fn a_caller_that_falls_silent_while_it_sends_is_told_so() {
    let rig = Rig::with(|config| config.timeouts.idle = SHORT).await;
    let mut connection = Connection::open(rig.address).await;
    connection.send(head("POST", "/v1/chat/completions", &[], Some(1000))).await;
    connection.send("{").await;
    let answer = connection.receive("POST").await;
    assert_eq!(answer.status, 504);
    assert!(rig.record().await.end.error.unwrap().contains("(idle)"));
}

#[tokio::test]
async fn a_slow_answer_within_its_times_passes() {
    let rig = Rig::with(|config| config.timeouts.idle = SHORT).await;
    // The head may take longer than the time between chunks.
    let headers = [("x-mock", "delay-head=400ms")];
    let answer = post(rig.address, "/v1/chat/completions", &headers, CHAT.as_bytes()).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_stream_that_goes_on_is_not_idle_however_little_of_it_is_recorded() {
    let rig = Rig::with(|config| config.timeouts.idle = SHORT * 4).await;
    for mode in ["meta", "off"] {
        let headers = [("x-mock", "chunks=14; chunk-delay=100ms; flush"), ("x-verbatim-record", mode)];
        let answer = post(rig.address, "/v1/chat/completions", &headers, STREAM.as_bytes()).await;
        assert_eq!(answer.after, After::Whole, "{mode}");
    }
    assert!(rig.records(2).await.iter().all(|record| record.outcome() == Outcome::Completed));
}

#[tokio::test]
async fn a_stream_that_goes_on_is_not_idle_when_there_is_no_room_to_record_it() {
    let rig = Rig::with(|config| {
        config.timeouts.idle = SHORT * 4;
        config.queue.total = 1 << 20;
        config.queue.exchange = 1 << 20;
    })
    .await;
    rig.log.faulty.cut_off();
    let headers = [("x-mock", "chunks=14; chunk-delay=100ms; flush")];
    let mut begun = Connection::open(rig.address).await;
    begun.send(head("POST", "/v1/chat/completions", &headers, Some(STREAM.len()))).await;
    begun.send(STREAM).await;
    soon(rig.mock.ledger().wait_for_begun(1)).await;
    // The rest of that one is lost, and of the next not even the start is recorded.
    while rig.health.snapshot().unrecorded == 0 {
        get(rig.address, "/plain/raw/2000", &[]).await;
    }
    let answer = post(rig.address, "/v1/chat/completions", &headers, STREAM.as_bytes()).await;
    assert_eq!(answer.after, After::Whole);
    assert_eq!(begun.receive("POST").await.after, After::Whole);
}

#[tokio::test]
async fn a_call_is_cut_in_time_even_while_its_caller_takes_all_it_can() {
    let rig = Rig::with(|config| config.timeouts.total = SHORT * 4).await;
    let mut connection = Connection::open(rig.address).await;
    connection.send(head("GET", "/plain/raw/300000000", &[], None)).await;
    connection.head().await.unwrap();
    // A reader so slow that the provider always has more ready.
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let mut read = 0;
    let cut = soon(async {
        loop {
            pace.tick().await;
            let some = connection.at_least(1).await.len();
            read += some;
            if some == 0 {
                return connection.ending().await;
            }
        }
    })
    .await;
    assert!(cut != After::Whole && read < 300_000_000);
    let record = rig.record().await;
    assert_eq!(record.outcome(), Outcome::TimedOut);
    assert!(record.end.error.unwrap().contains("(total)"));
}
