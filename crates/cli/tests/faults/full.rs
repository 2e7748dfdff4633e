//! The capture log's stream is full, and the spool behind it, too.

use crate::calls::{Call, Kind, large};
use crate::client::Seen;
use crate::ground::{Ground, calls};
use crate::verdict::Trial;

/// Much less than [`bulk`] sends.
const LOG: (&str, &str) = ("VERBATIM_CAPTURE_LOG__MAX_BYTES", "1MiB");
const SPOOL: (&str, &str) = ("VERBATIM_GATEWAY__SPOOL__MAX_BYTES", "1MiB");

/// More than log and spools can hold.
fn bulk(name: &str) -> Vec<Call> {
    (0..1_500).map(|number| large(name, number, 4_000)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_stream_loses_nothing_that_the_spool_can_hold() {
    let full = [("VERBATIM_CAPTURE_LOG__MAX_BYTES", "1MiB")];
    let mut ground = Ground::without_recorders("required", &full).await;
    let seen = ground.begin("full", calls(2_000, 20_000)).finish().await;
    assert!(ground.gateways[0].metric("verbatim_spooled_exchanges").await > 0.0, "it was not full");
    ground.recorders.iter_mut().for_each(|place| place.start(&ground.engines));
    ground.all_is_there(&seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn required_capture_with_log_and_spool_full_refuses_calls_before_the_provider_sees_them() {
    let mut ground = Ground::without_recorders("required", &[LOG, SPOOL]).await;
    let mut seen = ground.begin_with(bulk("refused")).finish().await;
    let mut take = |which: fn(&Seen) -> bool| -> Vec<Seen> {
        seen.iter_mut().flat_map(|seen| seen.extract_if(.., |seen| which(seen)).collect::<Vec<_>>()).collect()
    };
    let refused = take(|seen| seen.complete && seen.status == Some(503));
    // It ran full under these: their ends are held back until they are durable, and their callers gave up waiting.
    let cut = take(|seen| !seen.complete);
    assert!(!refused.is_empty() && refused.iter().all(|seen| seen.call.kind == Kind::Whole));
    for one in &refused {
        let saw = ground.engines.mock.ledger().all_by_id(&one.call.id);
        assert!(saw.is_empty(), "the provider saw {}", one.call.id);
    }
    ground.recorders.iter_mut().for_each(|place| place.start(&ground.engines));
    ground.all_is_there(&seen).await;
    let records = ground.archive(usize::MAX).await;
    for one in &cut {
        let [record] = records.get(&one.call.id).map_or(&[][..], |records| records) else {
            panic!("{} is not archived once", one.call.id);
        };
        let entry = ground.engines.mock.ledger().by_id(&one.call.id);
        let sent = entry.as_ref().and_then(|entry| entry.response.body.as_deref()).unwrap_or_default();
        assert!(sent.starts_with(&record.response), "{} holds what was not sent", one.call.id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn best_effort_with_log_and_spool_full_relays_every_call_and_counts_what_is_missing() {
    // What waits in memory is little, too.
    let queue = ("VERBATIM_GATEWAY__QUEUE__TOTAL", "1MiB");
    let share = ("VERBATIM_GATEWAY__QUEUE__EXCHANGE", "1MiB");
    let mut ground = Ground::without_recorders("best_effort", &[LOG, SPOOL, queue, share]).await;
    let seen = ground.begin_with(bulk("counted")).finish().await;
    assert!(seen.iter().flatten().all(|seen| seen.complete && seen.status == Some(200)));
    ground.recorders.iter_mut().for_each(|place| place.start(&ground.engines));
    let records = ground.archive(usize::MAX).await;
    let (mut counted, mut lost) = (0.0, 0.0);
    for gateway in &ground.gateways {
        counted += gateway.metric("verbatim_calls_unrecorded_total").await;
        lost += gateway.metric("verbatim_lost_bytes_total").await;
    }
    let (there, missing): (Vec<_>, Vec<_>) =
        seen.into_iter().flatten().partition(|seen| records.contains_key(&seen.call.id));
    let declared: u64 = records.values().flatten().map(|record| record.exchange.lost_bytes).sum();
    eprintln!("{} missing, {counted} counted; {declared} bytes declared lost, {lost} counted", missing.len());
    assert!(!missing.is_empty(), "it was not full");
    assert_eq!(missing.len() as f64, counted);
    assert!(lost >= declared as f64, "losses were declared that were not counted");
    let trial = Trial { kills: &[], required: false };
    crate::ground::report(&trial.judge(&there, ground.engines.mock.ledger(), &records));
}
