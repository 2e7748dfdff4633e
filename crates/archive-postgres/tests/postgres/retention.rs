//! Partitions go while others read and write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;
use verbatim_core::model::{ExchangeId, ExchangeRecord, Leg};
use verbatim_core::ports::{Archive, Clock, Committed, ListRequest, Retention, SystemClock};
use verbatim_testkit::ExchangeBuilder;
use verbatim_testkit::postgres::PostgresServer;

use super::{DAY, connect, database, ids, noise, store, try_commit};

fn of_day(age: u32, n: u8) -> ExchangeRecord {
    let mut id = *ExchangeId::lowest_at(SystemClock.now().minus(DAY * age)).as_bytes();
    id[15] = n;
    let id = ExchangeId::try_from(&id[..]).unwrap();
    ExchangeBuilder::new(id).request(noise(u64::from(age) << 8 | u64::from(n), 6000)).build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_is_dropped_while_it_is_read_gives_a_page_or_nothing_and_never_an_error() {
    let server = PostgresServer::shared();
    let (name, config) = database(server).await;
    let archive = connect(&config).await;
    let records: Vec<ExchangeRecord> = (0..40).flat_map(|age| [of_day(age, 1), of_day(age, 2)]).collect();
    store(&archive, &records).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for _ in 0..3 {
        let (archive, done, ids) = (connect(&config).await, Arc::clone(&done), ids(&records));
        tasks.spawn(async move {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) {
                let page = archive.list(ListRequest { limit: 1000, ..ListRequest::default() }).await.unwrap();
                assert!(page.exchanges.is_sorted_by(|newer, older| newer.id > older.id));
                for id in ids.iter().rev().step_by(9) {
                    archive.get(*id).await.unwrap();
                    archive.body(*id, Leg::ClientRequest).await.unwrap();
                }
                for record in archive.read_many(&ids[..20], u64::MAX).await.unwrap() {
                    let notes = record.unwrap().map(|record| record.heads.notes).unwrap_or_default();
                    assert!(notes.iter().all(|note| note.contains("deleted by retention")), "{notes:?}");
                }
                archive.count(&[], 1000).await.unwrap();
                reads += 1;
            }
            reads
        });
    }
    let (replayer, stop, old) = (connect(&config).await, Arc::clone(&done), records.clone());
    let mut replays = JoinSet::new();
    replays.spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            match try_commit(&replayer, &old).await {
                Ok(committed) => assert!(committed.iter().all(|one| matches!(one, Committed::Superseded))),
                // Its bodies' week went under its hands: the same again finds it gone.
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
        }
    });
    let now = SystemClock.now();
    for days in (2..36).rev().step_by(4) {
        let retention = Retention { bodies_days: days - 1, metadata_days: days, ..Retention::default() };
        archive.enforce(retention, now).await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    assert!(tasks.join_all().await.into_iter().all(|reads| reads > 0));
    replays.join_all().await;
    let days: u32 = server.sql(&name, "SELECT count(*) FROM exchange_day").parse().unwrap();
    assert!(days <= 3 + 4, "{days} days are left");
    // Nothing that was detached lies about.
    let lost = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND NOT relispartition
                AND (relname LIKE 'exchange_2%' OR relname LIKE 'block_0%' OR relname LIKE 'piece_0%')";
    assert_eq!(server.sql(&name, lost), "0");
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_was_broken_off_is_finished_by_the_next() {
    let server = PostgresServer::shared();
    let (name, config) = database(server).await;
    let archive = connect(&config).await;
    let records: Vec<ExchangeRecord> = (0..10).map(|age| of_day(age, 1)).collect();
    store(&archive, &records).await;
    let oldest = server.sql(&name, "SELECT to_char(min(day), 'YYYYMMDD') FROM exchange_day");
    // The tombstone was moved and the oldest day detached, and then the process was killed.
    server.sql(&name, "DELETE FROM exchange_day WHERE day <= (SELECT min(day) + 1 FROM exchange_day)");
    let through = *ids(&records[8..9]).first().unwrap();
    server.sql(&name, &format!("UPDATE tombstone SET erased_through = '{through}'"));
    server.sql(&name, &format!("ALTER TABLE exchange DETACH PARTITION exchange_{oldest}"));
    let listed = archive.list(ListRequest { limit: 100, ..ListRequest::default() }).await.unwrap();
    assert_eq!(listed.exchanges.len(), 8, "nobody sees what is below the tombstone");
    assert!(archive.get(through).await.unwrap().is_none());
    archive
        .enforce(Retention { max_exchanges: 1000, ..Retention::default() }, SystemClock.now())
        .await
        .unwrap();
    assert_eq!(server.sql(&name, "SELECT count(*) FROM exchange"), "8");
    assert_eq!(server.sql(&name, &format!("SELECT to_regclass('exchange_{oldest}') IS NULL")), "t");
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_on_bytes_drops_the_oldest_bodies_first_then_the_oldest_days() {
    let (_, config) = database(PostgresServer::shared()).await;
    let archive = connect(&config).await;
    let empty = archive.health().await.unwrap().bytes;
    let limit = empty + (24 << 20);
    let retention = Retention { max_bytes: limit, ..Retention::default() };
    let mut records = Vec::new();
    for round in 0..24_u64 {
        let batch: Vec<_> = (0..20)
            .map(|n| ExchangeBuilder::minted().request(noise(round * 20 + n, 100_000)).build())
            .collect();
        store(&archive, &batch).await;
        records.extend(batch);
        archive.enforce(retention, SystemClock.now()).await.unwrap();
        assert!(archive.health().await.unwrap().bytes <= limit, "after round {round}");
    }
    let mut there = Vec::new();
    for record in &records {
        there.push(archive.body(record.exchange.id, Leg::ClientRequest).await.unwrap().is_some());
        assert!(archive.get(record.exchange.id).await.unwrap().is_some());
    }
    assert!(there.is_sorted(), "older bodies go before newer ones");
    assert!(there.iter().filter(|there| **there).count() >= 40, "no more goes than must");
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_go_by_whole_days_and_then_one_by_one() {
    let server = PostgresServer::shared();
    let (name, config) = database(server).await;
    let archive = connect(&config).await;
    archive.keep_outbox().await.unwrap();
    let records: Vec<ExchangeRecord> =
        (0..6).rev().flat_map(|age| (1..=5).map(move |n| of_day(age, n))).collect();
    store(&archive, &records).await;
    let partitions =
        || server.sql(&name, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'exchange'::regclass");
    let before: u32 = partitions().parse().unwrap();
    let retention = Retention { max_exchanges: 13, ..Retention::default() };
    let erased = archive.enforce(retention, SystemClock.now()).await.unwrap();
    let through = archive.deleted().await.unwrap().records_through;
    assert_eq!((erased.exchanges, through), (17, Some(records[16].exchange.id)));
    let left = archive.list(ListRequest { limit: 100, ..ListRequest::default() }).await.unwrap();
    let left: Vec<_> = left.exchanges.iter().rev().map(|exchange| exchange.id).collect();
    assert_eq!(left, ids(&records[17..]));
    assert_eq!(partitions().parse::<u32>().unwrap(), before - 3);
    let health = archive.health().await.unwrap();
    assert_eq!((health.exchanges, health.captured_bytes, health.outbox), (13, 13 * 6000, 14));
    archive.close().await;
}
