//! A backlog that nobody read for long.

use crate::ground::{Ground, calls};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backlog_made_while_no_recorder_ran_is_drained_and_nothing_is_lost() {
    let mut ground = Ground::without_recorders("best_effort", &[]).await;
    let seen = ground.begin("backlog", calls(3_000, 60_000)).finish().await;
    ground.recorders.iter_mut().for_each(|place| place.start(&ground.engines));
    ground.all_is_there(&seen).await;
}
