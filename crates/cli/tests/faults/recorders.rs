//! Recorders that are killed, stopped and paused.

use crate::ground::{Ground, calls};

/// Kills of recorders in one test.
const KILLS: usize = 6;

async fn recorders_killed_again_and_again(capture: &str) {
    let mut ground = Ground::new(capture).await;
    let load = ground.begin("killed", calls(1_200, 20_000));
    for kill in 1..=KILLS {
        load.reached(kill, KILLS + 1).await;
        let recorder = &mut ground.recorders[kill % 2];
        recorder.kill();
        recorder.start(&ground.engines);
    }
    ground.all_is_there(&load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recorders_killed_again_and_again_archive_every_call_once_with_required_capture() {
    recorders_killed_again_and_again("required").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recorders_killed_again_and_again_archive_every_call_once_with_best_effort() {
    recorders_killed_again_and_again("best_effort").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_recorder_holds_that_stands_still_for_longer_than_ack_wait_is_archived_once_by_the_other() {
    let mut ground = Ground::new("required").await;
    let load = ground.begin("paused", calls(600, 20_000));
    load.reached(1, 4).await;
    ground.recorders[0].pause();
    // Everything is archived while it stands still; then it goes on with what it held, and harms nothing.
    let seen = load.finish().await;
    ground.all_is_there(&seen).await;
    ground.recorders[0].resume();
    ground.recorders[1].kill();
    let more = ground.begin("resumed", 60).finish().await;
    let all: Vec<_> = seen.into_iter().zip(more).map(|(seen, more)| [seen, more].concat()).collect();
    ground.all_is_there(&all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recorders_and_gateways_restarted_in_turn_under_load_lose_nothing() {
    let mut ground = Ground::new("best_effort").await;
    let load = ground.begin("rolling", calls(1_200, 20_000));
    for turn in 0..2 {
        load.reached(2 * turn + 1, 5).await;
        ground.recorders[turn].stop();
        ground.recorders[turn].start(&ground.engines);
        load.reached(2 * turn + 2, 5).await;
        // Calls that it refuses while it ends are for a load balancer; those that it took must end in order.
        ground.gateways[turn].stop();
        ground.gateways[turn].start(&ground.engines);
    }
    ground.all_is_there(&load.finish().await).await;
}
