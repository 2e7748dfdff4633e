//! HTTP/2 without TLS on the caller's side.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, StatusCode, Version};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use verbatim_core::model::Outcome;
use verbatim_mock_provider::{Digest, Ending};

use crate::support::{Rig, soon, until};

const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;

async fn connect<B>(rig: &Rig, tasks: &mut JoinSet<()>) -> SendRequest<B>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    connect_as(rig, tasks, &Builder::new(TokioExecutor::new())).await
}

async fn connect_as<B>(rig: &Rig, tasks: &mut JoinSet<()>, client: &Builder<TokioExecutor>) -> SendRequest<B>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let stream = TcpStream::connect(rig.address).await.unwrap();
    let (sender, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
    tasks.spawn(async move {
        // Its end is the test's end.
        let _ = connection.await;
    });
    sender
}

fn request(id: &str, directives: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(Method::POST)
        .uri("http://relay.example/v1/chat/completions?a=1")
        .header("x-mock-id", id)
        .header("x-mock", directives)
        .body(Full::from(STREAM))
        .unwrap()
}

#[tokio::test]
async fn calls_pass_side_by_side_on_one_connection() {
    let rig = Rig::start().await;
    let mut tasks = JoinSet::new();
    let sender = connect(&rig, &mut tasks).await;
    let mut calls = JoinSet::new();
    for index in 0..20 {
        let mut sender = sender.clone();
        calls.spawn(async move {
            let id = format!("h{index}");
            let answer = sender.send_request(request(&id, "chunks=9; chunk-delay=5ms; flush")).await.unwrap();
            assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));
            assert!(answer.headers().contains_key("x-verbatim-id"));
            (id, answer.into_body().collect().await.unwrap().to_bytes())
        });
    }
    while let Some(call) = soon(calls.join_next()).await {
        let (id, body) = call.unwrap();
        let entry = rig.mock.ledger().wait_for_id(&id).await;
        assert_eq!(entry.target, "/v1/chat/completions?a=1");
        assert_eq!(entry.response.blake3, Digest::of(&body));
        assert_eq!(entry.request_headers.get("host"), Some(rig.mock.address().to_string().as_str()));
    }
    let records = rig.records(20).await;
    assert!(records.iter().all(|record| record.outcome() == Outcome::Completed));
    assert!(records.iter().all(|record| record.start.version == "HTTP/2.0"));
}

#[tokio::test]
async fn a_call_that_breaks_off_leaves_the_others_alone() {
    let rig = Rig::start().await;
    let mut tasks = JoinSet::new();
    let mut sender = connect(&rig, &mut tasks).await;
    let whole = sender.send_request(request("whole", "chunks=20; chunk-delay=10ms; flush")).await.unwrap();
    let reset = sender.send_request(request("reset", "chunks=9; reset-after=3; flush")).await.unwrap();
    assert!(soon(reset.into_body().collect()).await.is_err(), "a cut answer never looks whole");
    let left = sender.send_request(request("left", "chunks=9; hang-after=3; flush")).await.unwrap();
    drop(left);
    assert_eq!(soon(rig.mock.ledger().wait_for_id("left")).await.ending, Ending::PeerLeft);
    let body = soon(whole.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(rig.mock.ledger().wait_for_id("whole").await.response.blake3, Digest::of(&body));
    let mut outcomes: Vec<_> = rig
        .records(3)
        .await
        .iter()
        .map(|record| (record.header("x-mock-id").unwrap(), record.outcome()))
        .collect();
    outcomes.sort();
    let expected = [
        ("left", Outcome::ClientAborted),
        ("reset", Outcome::UpstreamAborted),
        ("whole", Outcome::Completed),
    ];
    assert_eq!(outcomes, expected.map(|(id, outcome)| (id.to_owned(), outcome)));
}

#[tokio::test]
async fn a_request_has_passed_with_its_announced_length() {
    let rig = Rig::with(|config| config.timeouts.first_byte = Duration::from_millis(150)).await;
    let mut tasks = JoinSet::new();
    let mut sender = connect(&rig, &mut tasks).await;
    // Such a body says only behind its last frame that this was the last.
    let body = StreamBody::new(stream::iter([Ok(Frame::data(Bytes::from(STREAM)))]));
    let request = request("late", "hang=head").map(|_| body);
    let (mut head, body) = request.into_parts();
    head.headers.insert("content-length", STREAM.len().into());
    let answer = soon(sender.send_request(Request::from_parts(head, body))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    assert!(rig.record().await.end.error.unwrap().contains("(first_byte)"));
}

#[tokio::test]
async fn a_caller_that_makes_no_room_for_its_answer_is_let_go_and_the_others_are_not() {
    let rig = Rig::with(|config| config.timeouts.idle = Duration::from_millis(150)).await;
    let mut tasks = JoinSet::new();
    let mut client = Builder::new(TokioExecutor::new());
    client.initial_stream_window_size(1024);
    let mut sender = connect_as(&rig, &mut tasks, &client).await;
    let stalled = Request::get("http://relay.example/plain/raw/8000000").body(Full::default()).unwrap();
    let stalled = sender.send_request(stalled).await.unwrap();
    let record = rig.record().await;
    assert_eq!(record.outcome(), Outcome::TimedOut);
    assert!(record.end.error.unwrap().contains("(idle)"));
    assert!(soon(stalled.into_body().collect()).await.is_err(), "a cut answer never looks whole");
    until(|| rig.health.snapshot().in_flight == 0).await;
    let answer = sender.send_request(request("after", "chunks=9; flush")).await.unwrap();
    let body = soon(answer.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(rig.mock.ledger().wait_for_id("after").await.response.blake3, Digest::of(&body));
}

#[tokio::test]
async fn what_is_still_to_be_sent_of_an_answer_is_sent_before_the_gateway_stops() {
    let mut rig = Rig::start().await;
    let mut tasks = JoinSet::new();
    let mut client = Builder::new(TokioExecutor::new());
    client.initial_stream_window_size(1024);
    let mut sender = connect_as(&rig, &mut tasks, &client).await;
    let request = Request::get("http://relay.example/plain/raw/3000").body(Full::default()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    // The call is over; but its caller has made room for a third of the answer.
    until(|| rig.health.snapshot().in_flight == 0).await;
    assert_eq!(rig.record().await.outcome(), Outcome::Completed);
    rig.stop.cancel();
    soon(async { while TcpStream::connect(rig.address).await.is_ok() {} }).await;
    assert_eq!(soon(answer.into_body().collect()).await.unwrap().to_bytes().len(), 3000);
    rig.stopped().await;
}
