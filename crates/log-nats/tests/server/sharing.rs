//! Several processes on one log.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt;
use verbatim_core::ports::{CaptureLog, Consumer, Live, LiveMessage, Liveness};
use verbatim_log_nats::NatsLog;
use verbatim_testkit::NatsServer;

use crate::support::{append, connect, end, limit, pull, sequences, start, texts, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_recorders_get_each_its_share_and_none_twice() {
    const ENDS: usize = 400;
    let server = NatsServer::start("").await;
    let (one, other) = (connect(&server).await, connect(&server).await);
    append(&one, (0..ENDS).map(|n| end(&format!("end {n}"))).collect()).await;
    let take = async |log: &NatsLog| {
        let mut mine = Vec::new();
        loop {
            let more = log.next(Consumer::Recorder, limit(16, Duration::from_millis(500))).await.unwrap();
            if more.is_empty() {
                return mine;
            }
            log.acknowledge(Consumer::Recorder, &sequences(&more)).await.unwrap();
            mine.extend(sequences(&more));
        }
    };
    let (first, second) = tokio::join!(take(&one), take(&other));
    assert!(!first.is_empty() && !second.is_empty(), "{} and {}", first.len(), second.len());
    let all: HashSet<_> = first.iter().chain(&second).collect();
    assert_eq!((all.len(), first.len() + second.len()), (ENDS, ENDS));
    assert_eq!(one.health().await.unwrap().ends_pending, 0);
    one.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_holds_is_unknown() {
    let server = NatsServer::start("").await;
    let (one, other) = (connect(&server).await, connect(&server).await);
    append(&one, vec![end("end")]).await;
    let held = sequences(&pull(&one, Consumer::Recorder, 1).await);
    other.acknowledge(Consumer::Recorder, &held).await.unwrap();
    other.hand_back(Consumer::Recorder, &held).await.unwrap();
    assert!(other.next(Consumer::Recorder, limit(1, Duration::ZERO)).await.unwrap().is_empty());
    assert_eq!(one.health().await.unwrap().ends_pending, 1);
    one.acknowledge(Consumer::Recorder, &held).await.unwrap();
    assert_eq!(one.health().await.unwrap().ends_pending, 0);
    one.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_ends_are_out_at_once_than_recorders_may_hold_and_each_acknowledgement_lets_one_follow() {
    const PENDING: usize = 1024;
    let server = NatsServer::start("").await;
    let (one, other) = (connect(&server).await, connect(&server).await);
    append(&one, (0..PENDING + 100).map(|n| end(&format!("end {n}"))).collect()).await;
    let mut held = sequences(&pull(&one, Consumer::Recorder, PENDING - 200).await);
    held.extend(sequences(&pull(&other, Consumer::Recorder, 200).await));
    for log in [&one, &other] {
        let more = log.next(Consumer::Recorder, limit(64, Duration::from_millis(200))).await.unwrap();
        assert!(more.is_empty(), "{} more than {PENDING} came", more.len());
    }
    one.acknowledge(Consumer::Recorder, &held[..7]).await.unwrap();
    assert_eq!(pull(&other, Consumer::Recorder, 7).await.len(), 7);
    let more = other.next(Consumer::Recorder, limit(64, Duration::from_millis(200))).await.unwrap();
    assert!(more.is_empty(), "{} more came", more.len());
    one.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorder_that_closes_gives_what_it_holds_to_the_others_at_once() {
    let server = NatsServer::start("").await;
    let (one, other) = (connect(&server).await, connect(&server).await);
    append(&one, (0..5).map(|n| end(&format!("end {n}"))).collect()).await;
    pull(&one, Consumer::Recorder, 3).await;
    let waiting = other.next(Consumer::Recorder, limit(9, Duration::from_secs(30)));
    one.shutdown().await;
    // Nobody waits a minute for these.
    let mut came = waiting.await.unwrap();
    came.extend(pull(&other, Consumer::Recorder, 5 - came.len()).await);
    let came: HashSet<_> = texts(&came).into_iter().collect();
    assert_eq!(came.len(), 5);
    other.shutdown().await;
    assert!(
        other
            .next(Consumer::Recorder, limit(1, Duration::ZERO))
            .await
            .is_err_and(|error| error.is_transient())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_is_handed_back_goes_to_any_recorder_and_a_start_stays_here() {
    let server = NatsServer::start("").await;
    let (one, other) = (connect(&server).await, connect(&server).await);
    append(&one, vec![end("end"), start("start")]).await;
    let ends = sequences(&pull(&one, Consumer::Recorder, 1).await);
    one.hand_back(Consumer::Recorder, &ends).await.unwrap();
    assert_eq!(pull(&other, Consumer::Recorder, 1).await[0].redelivered, 1);
    let starts = sequences(&pull(&one, Consumer::Watch, 1).await);
    one.hand_back(Consumer::Watch, &starts).await.unwrap();
    assert!(other.next(Consumer::Watch, limit(1, Duration::from_millis(200))).await.unwrap().is_empty());
    let again = pull(&one, Consumer::Watch, 1).await;
    assert_eq!((again[0].sequence, again[0].redelivered), (starts[0], 1));
    one.acknowledge(Consumer::Watch, &starts).await.unwrap();
    let floors = other.floors().await.unwrap();
    assert_eq!(floors.watch, floors.last);
    one.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_that_nobody_waits_for_any_more_loses_nothing() {
    let server = NatsServer::start("").await;
    let log = connect(&server).await;
    for n in 0..20 {
        let given_up = log.next(Consumer::Recorder, limit(8, Duration::from_secs(30)));
        assert!(tokio::time::timeout(Duration::from_millis(n * 3), given_up).await.is_err());
        append(&log, vec![end(&format!("end {n}"))]).await;
        let came = pull(&log, Consumer::Recorder, 1).await;
        assert_eq!((texts(&came), came[0].redelivered), (vec![&*format!("end {n}")], 0));
        log.acknowledge(Consumer::Recorder, &sequences(&came)).await.unwrap();
    }
    log.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_process_hears_that_a_gateway_lives() {
    let server = NatsServer::start("").await;
    let (gateway, recorder) = (connect(&server).await, connect(&server).await);
    assert_eq!(recorder.liveness("gäteway 1").await.unwrap(), Liveness::Unknown);
    gateway.heartbeat("gäteway 1").await.unwrap();
    until("the beat is heard", async || recorder.liveness("gäteway 1").await.unwrap() == Liveness::Alive)
        .await;
    assert_eq!(recorder.liveness("another").await.unwrap(), Liveness::Unknown);
    // No stream keeps it.
    assert_eq!(recorder.floors().await.unwrap().last, 0);
    server.pause();
    assert!(gateway.heartbeat("gäteway 1").await.is_err_and(|error| error.is_transient()));
    server.resume();
    gateway.shutdown().await;
    recorder.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_onlooker_sees_what_passes_until_the_log_is_closed() {
    let server = NatsServer::start("").await;
    let (gateway, web) = (connect(&server).await, connect(&server).await);
    let mut onlooker = web.subscribe();
    // It begins when the server knows of it.
    let first = loop {
        append(&gateway, vec![start("looking?")]).await;
        if let Ok(first) = tokio::time::timeout(Duration::from_millis(50), onlooker.next()).await {
            break first.unwrap();
        }
    };
    assert!(matches!(first, LiveMessage::Passed(message) if message.payload == "looking?"));
    append(&gateway, vec![end("a"), end("b")]).await;
    let passed = onlooker.by_ref().filter_map(async |seen| match seen {
        LiveMessage::Passed(message) if message.payload != "looking?" => Some(message.payload),
        LiveMessage::Passed(_) | LiveMessage::Missed(_) => None,
    });
    assert_eq!(passed.take(2).collect::<Vec<_>>().await, ["a", "b"]);
    server.kill();
    server.restart().await;
    let missed = onlooker.next().await.unwrap();
    assert!(matches!(missed, LiveMessage::Missed(1..)), "{missed:?}");
    web.shutdown().await;
    assert!(onlooker.next().await.is_none());
    gateway.shutdown().await;
}
