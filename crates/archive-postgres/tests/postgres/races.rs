//! Several processes at once, each with an archive of its own.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use verbatim_core::model::{ExchangeId, ExchangeRecord, Outcome};
use verbatim_core::ports::{Archive, Clock, Committed, OpenExchange, StatsRequest, SystemClock};
use verbatim_testkit::ExchangeBuilder;
use verbatim_testkit::postgres::PostgresServer;
use verbatim_testkit::traffic::Words;

use super::{DAY, connect, database, noise, store, try_commit};

fn shuffle<T>(list: &mut [T], words: &mut Words) {
    for at in (1..list.len()).rev() {
        list.swap(at, words.number(at as u64 + 1) as usize);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn committers_with_overlapping_batches_in_any_order_never_deadlock_and_count_once() {
    let server = PostgresServer::shared();
    let (name, config) = database(server).await;
    let reader = connect(&config).await;
    reader.keep_outbox().await.unwrap();
    let body = |n: u64| noise(n % 7, 20_000);
    let record = |n: u64| ExchangeBuilder::minted().request(body(n)).response(noise(n, 100)).build();
    let records: Vec<ExchangeRecord> = (0..120).map(record).collect();
    let mut committers = JoinSet::new();
    for committer in 0..4 {
        let (archive, mut records) = (connect(&config).await, records.clone());
        committers.spawn(async move {
            let mut words = Words::new(committer);
            let mut stored = 0;
            for _ in 0..3 {
                shuffle(&mut records, &mut words);
                for batch in records.chunks(40) {
                    let committed = try_commit(&archive, batch).await.unwrap();
                    stored += committed.iter().filter(|one| matches!(one, Committed::Stored)).count();
                }
            }
            archive.close().await;
            stored
        });
    }
    let stored: usize = committers.join_all().await.into_iter().sum();
    assert_eq!(stored, 120);
    assert_eq!(
        server.sql(&name, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"),
        "0"
    );
    let archive = connect(&config).await;
    let health = archive.health().await.unwrap();
    assert_eq!((health.exchanges, health.outbox, health.captured_bytes), (120, 120, 120 * 20_100));
    let range = SystemClock.now().minus(DAY)..SystemClock.now().plus(DAY);
    let request = StatsRequest { range, step: DAY, model: None, provider: None };
    for _ in 0..2 {
        assert_eq!(archive.stats(request.clone()).await.unwrap().totals.calls, 120);
        archive.maintain().await.unwrap();
    }
    for record in &records {
        let body = archive.body(record.exchange.id, record.bodies[0].info.leg).await.unwrap();
        assert_eq!(body.as_ref(), Some(&record.bodies[0]));
    }
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn indexers_never_get_the_same_entry_and_one_that_dies_leaves_its_own_to_the_others() {
    let server = PostgresServer::shared();
    let (_, config) = database(server).await;
    let writer = connect(&config).await;
    writer.keep_outbox().await.unwrap();
    let records: Vec<_> = (0..300).map(|_| ExchangeBuilder::minted().build()).collect();
    store(&writer, &records).await;
    let mut indexers = JoinSet::new();
    for _ in 0..4 {
        let archive = connect(&config).await;
        indexers.spawn(async move {
            let mut claimed = Vec::new();
            loop {
                let entries = archive.claim_outbox(7).await.unwrap();
                if entries.is_empty() {
                    return (archive, claimed);
                }
                claimed.extend(entries);
            }
        });
    }
    let mut all = indexers.join_all().await;
    let (mut seen, mut count) = (HashSet::new(), 0);
    for (_, claimed) in &all {
        count += claimed.len();
        seen.extend(claimed.iter().map(|entry| entry.id));
    }
    assert_eq!((count, seen.len()), (300, 300));
    // One dies without a word, one leaves in order, two go on.
    let (dead, of_dead) = all.pop().unwrap();
    drop(dead);
    let (left, of_left) = all.pop().unwrap();
    left.close().await;
    let expected: HashSet<u64> = of_dead.iter().chain(&of_left).map(|entry| entry.number).collect();
    let mut again = HashSet::new();
    super::until(async || {
        again.extend(all[0].0.claim_outbox(50).await.unwrap().iter().map(|entry| entry.number));
        again.len() >= expected.len()
    })
    .await;
    assert_eq!(again, expected);
    writer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_made_once_whoever_else_makes_them() {
    let server = PostgresServer::shared();
    let (name, config) = database(server).await;
    let now = SystemClock.now();
    let mut writers = JoinSet::new();
    for writer in 0..5_u8 {
        let config = config.clone();
        writers.spawn(async move {
            let archive = connect(&config).await;
            let of_day = |day: u32| {
                let mut id = *ExchangeId::lowest_at(now.minus(DAY * day)).as_bytes();
                id[15] = writer;
                let id = ExchangeId::try_from(&id[..]).unwrap();
                ExchangeBuilder::new(id).request(noise(day.into(), 5000)).build()
            };
            for day in [3, 20, 7, 12, 13] {
                store(&archive, &[of_day(day)]).await;
            }
            archive.close().await;
        });
    }
    writers.join_all().await;
    assert_eq!(server.sql(&name, "SELECT count(*) FROM exchange"), "25");
    let attached = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'exchange'::regclass";
    assert_eq!(server.sql(&name, attached), server.sql(&name, "SELECT count(*) FROM exchange_day"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_as_open_while_it_is_committed_does_not_stay_open() {
    let (_, config) = database(PostgresServer::shared()).await;
    let (recorder, watch) = (connect(&config).await, connect(&config).await);
    for _ in 0..40 {
        let records: Vec<_> = (0..5)
            .map(|_| ExchangeBuilder::minted().with(|exchange| exchange.outcome = Outcome::Completed).build())
            .collect();
        let opened: Vec<_> = records
            .iter()
            .map(|record| OpenExchange { id: record.exchange.id, gateway: "g".to_owned(), sequence: 1 })
            .collect();
        let (committed, remembered) =
            tokio::join!(try_commit(&recorder, &records), watch.open(&opened, false));
        committed.unwrap();
        remembered.unwrap();
        assert_eq!(recorder.open_exchanges(None, 10).await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_are_the_same_while_they_are_folded() {
    let (_, config) = database(PostgresServer::shared()).await;
    let (archive, other) = (connect(&config).await, connect(&config).await);
    let done = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&done);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            other.maintain().await.unwrap();
        }
    });
    let range = SystemClock.now().minus(DAY)..SystemClock.now().plus(DAY);
    let mut words = Words::new(1);
    for round in 1..=30_u64 {
        let id = ExchangeId::mint();
        let step = |outcome| {
            let tokens = Some(words.number(1000));
            ExchangeBuilder::new(id)
                .with(|exchange| (exchange.outcome, exchange.usage.input_tokens) = (outcome, tokens))
                .build()
        };
        let steps = [Outcome::Running, Outcome::Incomplete, Outcome::Completed].map(step);
        for record in &steps {
            store(&archive, std::slice::from_ref(record)).await;
        }
        let request = StatsRequest { range: range.clone(), step: DAY, model: None, provider: None };
        let totals = archive.stats(request).await.unwrap().totals;
        assert_eq!((totals.calls, totals.completed), (round, round));
        assert_eq!(archive.health().await.unwrap().exchanges, round);
    }
    done.store(true, Ordering::Relaxed);
    tasks.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_passes_of_upkeep_and_commits_do_not_wait_for_each_other_for_ever() {
    let (_, config) = database(PostgresServer::shared()).await;
    let config =
        verbatim_archive_postgres::PostgresConfig { upkeep_every: Duration::from_millis(10), ..config };
    let (one, two) = (connect(&config).await, connect(&config).await);
    for seed in 0..10_u64 {
        let record = |n| ExchangeBuilder::minted().request(noise(seed * 10 + n, 3000)).build();
        let (first, second): (Vec<_>, Vec<_>) = ((0..5).map(record).collect(), (5..10).map(record).collect());
        let (first, second) = tokio::join!(try_commit(&one, &first), try_commit(&two, &second));
        assert_eq!(first.unwrap().len() + second.unwrap().len(), 10);
    }
    assert_eq!(one.health().await.unwrap().exchanges, 100);
    one.close().await;
    two.close().await;
}
