//! NATS killed, paused, and full.

use std::time::{Duration, Instant};

use crate::calls::Kind;
use crate::ground::{Ground, calls};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nats_killed_and_restarted_under_load_loses_nothing() {
    let ground = Ground::new("best_effort").await;
    let load = ground.begin("nats-killed", calls(1_200, 20_000));
    for kill in 1..=2 {
        load.reached(kill, 4).await;
        ground.engines.nats.kill();
        load.reached(2 * kill + 1, 8).await;
        ground.engines.nats.restart().await;
    }
    ground.all_is_there(&load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nats_paused_for_longer_than_acknowledgements_may_take_is_bridged_by_the_spool() {
    let ground = Ground::new("best_effort").await;
    let load = ground.begin("nats-paused", calls(1_200, 20_000));
    load.reached(1, 4).await;
    ground.engines.nats.pause();
    let paused = Instant::now();
    // Callers go on as if nothing were, until the gateways have given up waiting for acknowledgements.
    load.reached(1, 2).await;
    while ground.gateways[0].metric("verbatim_spooled_exchanges").await == 0.0 {
        assert!(paused.elapsed() < Duration::from_secs(60), "nothing was spooled");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ground.engines.nats.resume();
    ground.all_is_there(&load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_stream_loses_nothing_that_the_spool_can_hold() {
    let full = [("VERBATIM_CAPTURE_LOG__MAX_BYTES", "1MiB")];
    let mut ground = Ground::without_recorders("required", &full).await;
    let seen = ground.begin("full", calls(600, 20_000)).finish().await;
    assert!(ground.gateways[0].metric("verbatim_spooled_exchanges").await > 0.0, "it was not full");
    ground.recorders.iter_mut().for_each(|place| place.start(&ground.engines));
    ground.all_is_there(&seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn required_capture_with_log_and_spool_full_refuses_calls_before_the_provider_sees_them() {
    let full = [("VERBATIM_CAPTURE_LOG__MAX_BYTES", "1MiB"), ("VERBATIM_GATEWAY__SPOOL__MAX_BYTES", "1MiB")];
    let mut ground = Ground::without_recorders("required", &full).await;
    let calls: Vec<_> = (0..1_500).map(|number| crate::calls::large("refused", number, 4_000)).collect();
    let mut seen = ground.begin_with(calls).finish().await;
    let is_refused = |seen: &crate::client::Seen| seen.complete && seen.status == Some(503);
    let refused: Vec<_> =
        seen.iter_mut().flat_map(|seen| seen.extract_if(.., |seen| is_refused(seen))).collect();
    assert!(!refused.is_empty() && refused.iter().all(|seen| seen.call.kind == Kind::Whole));
    for one in &refused {
        let saw = ground.engines.mock.ledger().all_by_id(&one.call.id);
        assert!(saw.is_empty(), "the provider saw {}", one.call.id);
    }
    ground.recorders.iter_mut().for_each(|place| place.start(&ground.engines));
    ground.all_is_there(&seen).await;
}
