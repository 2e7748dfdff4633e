//! One process of the installation, engines included, killed every few seconds.

use std::time::{Duration, Instant};

use crate::ground::{Ground, calls, is_soak, report};
use crate::load::Load;

/// Gateways, recorders, NATS, PostgreSQL.
const PROCESSES: usize = 6;
/// In full length, one of them is killed so often.
const EVERY: Duration = Duration::from_secs(5);
/// In the short form, so many are, at even shares of the calls: every process twice.
const KILLS: usize = 2 * PROCESSES;

/// Who is killed: each of them once in every round, in an order without a pattern, and the same in each run.
fn victim(kill: usize) -> usize {
    let mut round: Vec<usize> = (0..PROCESSES).collect();
    round.sort_by_key(|process| *blake3::hash(&[(kill / PROCESSES) as u8, *process as u8]).as_bytes());
    round[kill % PROCESSES]
}

/// Waits for the next kill's time; `false` once the calls are over.
async fn next(load: &Load, kill: usize) -> bool {
    if is_soak() {
        tokio::select! {
            // What is asked for is a kill every so often: there is no condition to wait for.
            () = tokio::time::sleep(EVERY) => return true,
            () = load.reached(1, 1) => return false,
        }
    }
    load.reached(kill + 1, KILLS + 1).await;
    kill < KILLS
}

async fn one_process_killed_again_and_again(capture: &str) {
    let mut ground = Ground::new(capture).await;
    let load = ground.begin(&format!("random-{capture}"), calls(2_400, 60_000));
    let (mut kills, mut count) = ([Vec::new(), Vec::new()], 0);
    while next(&load, count).await {
        match victim(count) {
            gateway @ (0 | 1) => {
                kills[gateway].push(ground.gateways[gateway].kill());
                ground.gateways[gateway].start(&ground.engines);
            }
            recorder @ (2 | 3) => {
                let recorder = &mut ground.recorders[recorder - 2];
                recorder.kill();
                recorder.start(&ground.engines);
            }
            4 => {
                ground.engines.nats.kill();
                ground.engines.nats.restart().await;
            }
            _ => {
                ground.engines.postgres.kill();
                ground.engines.postgres.restart();
            }
        }
        count += 1;
    }
    assert!(count >= PROCESSES, "not every process was killed");
    let began = Instant::now();
    let seen = load.finish().await;
    let verdict = ground.judge(&seen, &kills).await;
    eprintln!("{count} kills; judged {:.1?} after the last call", began.elapsed());
    report(&verdict);
    assert!(capture != "required" || verdict.excused + verdict.late == 0);
    assert!(verdict.excused + verdict.late < verdict.whole / 10, "too much was excused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_process_or_engine_killed_every_few_seconds_loses_nothing_with_required_capture() {
    one_process_killed_again_and_again("required").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_process_or_engine_killed_every_few_seconds_loses_at_most_the_last_moments_with_best_effort() {
    one_process_killed_again_and_again("best_effort").await;
}
