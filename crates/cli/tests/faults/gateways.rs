//! Gateways that are killed, and any role at random.

use crate::calls::{Call, Kind};
use crate::ground::{Ground, calls, report};
use crate::place::Place;
use verbatim_core::model::{Integrity, Outcome};

/// A stream that lasts until somebody ends it.
fn endless() -> Call {
    let body = serde_json::json!({"model": "gpt-4o-mini", "stream": true,
        "messages": [{"role": "user", "content": "count to a million"}]});
    Call {
        id: "endless".to_owned(),
        path: "/v1/chat/completions",
        headers: vec![("x-mock", "chunks=5000; chunk-delay=10ms".to_owned())],
        body: body.to_string().into_bytes(),
        kind: Kind::Whole,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stream_whose_gateway_is_killed_is_one_incomplete_record_of_what_was_sent_so_far() {
    let mut ground = Ground::new("best_effort").await;
    let load = ground.begin_with(vec![endless()]);
    let (log, ledger) = (ground.log().await, ground.engines.mock.ledger());
    ledger.wait_for_begun(1).await;
    // A part is flushed every 250 ms: start and two of them are in the log.
    while verbatim_core::ports::CaptureLog::health(&log).await.unwrap().messages < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    log.shutdown().await;
    ground.gateways[0].kill();
    ground.gateways[0].start(&ground.engines);
    let seen = load.finish().await;
    let records = ground.archive(usize::MAX).await;
    assert_eq!(records.values().map(Vec::len).sum::<usize>(), 1);
    let [record] = &records["endless"][..] else { panic!("not one record") };
    let exchange = &record.exchange;
    assert_eq!((exchange.outcome, exchange.integrity), (Outcome::Incomplete, Integrity::Whole));
    let entry = ground.engines.mock.ledger().by_id("endless").unwrap();
    assert!(
        !record.response.is_empty() && entry.response.body.as_ref().unwrap().starts_with(&record.response)
    );
    assert!(seen[0][0].body.starts_with(&record.response) || record.response.starts_with(&seen[0][0].body));
    assert_eq!(record.request, seen[0][0].call.body);
}

async fn any_role_killed_again_and_again(capture: &str) {
    const CALLS_BETWEEN_KILLS: usize = 300;
    let mut ground = Ground::new(capture).await;
    let mut others = [Place::new("web", 0), Place::new("indexer", 0)];
    others.iter_mut().for_each(|place| place.start(&ground.engines));
    let count = calls(3_000, 60_000);
    let load = ground.begin("any", count);
    let (mut kills, times) = ([Vec::new(), Vec::new()], count / CALLS_BETWEEN_KILLS);
    for kill in 1..times {
        load.reached(kill, times).await;
        // Without a pattern, and the same in each run.
        let chosen = blake3::hash(&kill.to_le_bytes()).as_bytes()[0] as usize % 6;
        let place = match chosen {
            0 | 1 => &mut ground.gateways[chosen],
            2 | 3 => &mut ground.recorders[chosen - 2],
            _ => &mut others[chosen - 4],
        };
        let at = place.kill();
        place.start(&ground.engines);
        if chosen < 2 {
            kills[chosen].push(at);
        }
    }
    assert!(kills.iter().any(|kills| !kills.is_empty()), "no gateway was killed");
    let verdict = ground.judge(&load.finish().await, &kills).await;
    report(&verdict);
    assert!(capture != "required" || verdict.excused + verdict.late == 0);
    assert!(verdict.excused + verdict.late < verdict.whole, "more was lost than kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_role_killed_again_and_again_loses_nothing_with_required_capture() {
    any_role_killed_again_and_again("required").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_role_killed_again_and_again_loses_at_most_the_last_moments_with_best_effort() {
    any_role_killed_again_and_again("best_effort").await;
}
