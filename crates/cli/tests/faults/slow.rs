//! Recorders that are slow rather than dead.

use std::collections::HashMap;

use crate::calls::mixed;
use crate::client::Seen;
use crate::ground::{Ground, calls};
use crate::verdict::Archived;
use crate::wire::{Manner, Wire};

/// Towards PostgreSQL, a connection: some ten records a second.
const SLOW: Manner = Manner::Slow { bytes_a_second: 20_000 };

/// What both rounds of calls saw, by gateway.
fn together(first: Vec<Vec<Seen>>, second: Vec<Vec<Seen>>) -> Vec<Vec<Seen>> {
    first.into_iter().zip(second).map(|(first, second)| [first, second].concat()).collect()
}

/// How long the gateways kept the calls of this round themselves, in microseconds: the median, and what nine of ten are
/// below.
fn relaying(records: &HashMap<String, Vec<Archived>>, name: &str) -> (u64, u64) {
    let of_round = records.iter().filter(|(id, _)| id.starts_with(name)).flat_map(|(_, records)| records);
    let mut times: Vec<u64> = of_round.filter_map(|record| record.exchange.relay_us).collect();
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 9 / 10])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slow_recorders_slow_no_call_and_catch_up_once_they_are_quick_again() {
    let count = calls(1_200, 20_000);
    let mut ground = Ground::without_recorders("best_effort", &[]).await;
    let wire = Wire::to_postgres(&ground.engines, Manner::Passes).await;
    ground.start_recorders_over(&wire);
    let quick = ground.begin("quick", count).finish().await;
    wire.set(SLOW);
    let slow = ground.begin("slow", count).finish().await;
    let behind = 2 * count - ground.records();
    wire.set(Manner::Passes);
    assert!(behind > count / 10, "the recorders were not slow: {behind} calls were left to be archived");
    ground.all_is_there(&together(quick, slow)).await;
    let records = ground.archive(2 * count).await;
    let (quick, slow) = (relaying(&records, "quick"), relaying(&records, "slow"));
    eprintln!(
        "{behind} calls behind; median and ninth decile in microseconds: {quick:?}, with slow recorders {slow:?}"
    );
    assert!(slow.0 < 2 * quick.0 + 1_000 && slow.1 < 3 * quick.1 + 5_000, "calls were slowed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recorders_that_stand_still_for_moments_again_and_again_archive_every_call_once() {
    const PULSES: usize = 20;
    let ground = Ground::new("required").await;
    let count = calls(1_200, 20_000);
    let load = ground.begin_with((0..count).map(|number| mixed("pulses", number)).collect());
    for pulse in 1..PULSES {
        load.reached(pulse, PULSES).await;
        ground.recorders.iter().for_each(crate::place::Place::pause);
        // They stand still for most of the time.
        load.reached(4 * pulse + 3, 4 * PULSES).await;
        ground.recorders.iter().for_each(crate::place::Place::resume);
    }
    ground.all_is_there(&load.finish().await).await;
}
