//! Killed between a commit and the acknowledgement of the ends that it stands for.

use std::time::Duration;

use crate::calls::mixed;
use crate::client::Seen;
use crate::ground::Ground;
use crate::wire::{Manner, Wire};

/// Several batches of every recorder.
const CALLS: usize = 1_800;

/// What is in the log and was read by nobody.
async fn a_backlog(name: &str) -> (Ground, Vec<Vec<Seen>>) {
    let ground = Ground::without_recorders("best_effort", &[]).await;
    let seen = ground.begin_with((0..CALLS).map(|number| mixed(name, number)).collect()).finish().await;
    (ground, seen)
}

/// Waits until a condition holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(120), "waited for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Each call is archived once and counted once, and what was committed came again.
async fn all_is_there_once(ground: &Ground, seen: &[Vec<Seen>]) {
    ground.all_is_there(seen).await;
    ground.sums_agree().await;
    let mut superseded = 0.0;
    for recorder in &ground.recorders {
        superseded += recorder.labelled("verbatim_archive_records_total", "result=\"superseded\"").await;
    }
    eprintln!("{superseded} records came again");
    assert!(superseded > 0.0, "nothing was committed and not acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgresql_killed_between_a_commit_and_its_answer_archives_and_counts_every_call_once() {
    let (mut ground, seen) = a_backlog("unanswered").await;
    let wire = Wire::to_postgres(&ground.engines, Manner::Passes).await;
    ground.start_recorders_over(&wire);
    until("the first records", || ground.records() > 0).await;
    wire.set(Manner::SwallowsAnswersToCommits);
    // PostgreSQL is through with a commit, of a batch among others, and has answered.
    let is_over = |port: &u16| {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE client_port = {port} AND query = 'COMMIT' AND state = 'idle'"
        );
        ground.engines.postgres.sql("postgres", &sql) == "1"
    };
    let before = ground.records();
    until("commits without an answer", || {
        let swallowed = wire.swallowed();
        swallowed.len() >= 3 && ground.records() > before && swallowed.iter().all(is_over)
    })
    .await;
    ground.engines.postgres.kill();
    wire.set(Manner::Passes);
    ground.engines.postgres.restart();
    all_is_there_once(&ground, &seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgresql_killed_between_a_commit_and_the_acknowledgement_of_its_ends_archives_every_call_once() {
    let (mut ground, seen) = a_backlog("unacknowledged").await;
    let wire = Wire::to_nats(&ground.engines, Manner::SwallowsAcknowledgements).await;
    ground.start_recorders_over(&wire);
    // Ends are acknowledged once they are committed.
    until("acknowledgements on their way", || !wire.swallowed().is_empty()).await;
    ground.engines.postgres.kill();
    wire.set(Manner::Passes);
    ground.engines.postgres.restart();
    all_is_there_once(&ground, &seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recorders_killed_between_a_commit_and_the_acknowledgement_of_its_ends_archive_every_call_once() {
    let (mut ground, seen) = a_backlog("unsaid").await;
    let wire = Wire::to_nats(&ground.engines, Manner::SwallowsAcknowledgements).await;
    ground.start_recorders_over(&wire);
    until("acknowledgements on their way", || !wire.swallowed().is_empty()).await;
    for recorder in &mut ground.recorders {
        recorder.kill();
    }
    assert!(ground.records() > 0, "ends were acknowledged before they were committed");
    // Their successors are told nothing of it.
    ground.recorders.iter_mut().for_each(|recorder| recorder.start(&ground.engines));
    all_is_there_once(&ground, &seen).await;
}
