//! PostgreSQL down, killed, and tidied up while it is used.

use crate::ground::{Ground, calls};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgresql_down_for_a_while_delays_records_and_loses_none() {
    let ground = Ground::new("best_effort").await;
    let load = ground.begin("postgres-down", calls(1_200, 20_000));
    load.reached(1, 4).await;
    ground.engines.postgres.stop();
    load.reached(3, 4).await;
    ground.engines.postgres.restart();
    ground.all_is_there(&load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgresql_killed_again_and_again_under_load_archives_every_call_once() {
    const KILLS: usize = 5;
    let ground = Ground::new("required").await;
    let load = ground.begin("postgres-killed", calls(1_200, 20_000));
    for kill in 1..=KILLS {
        load.reached(kill, KILLS + 1).await;
        // Whatever is between its commit and the acknowledgement of its ends comes again.
        ground.engines.postgres.kill();
        ground.engines.postgres.restart();
    }
    ground.all_is_there(&load.finish().await).await;
}
