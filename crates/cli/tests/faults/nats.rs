//! NATS killed, restarted and paused.

use std::time::{Duration, Instant};

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
