//! What is too old, or too much, is deleted while calls go on and are archived.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use verbatim_archive_postgres::PostgresArchive;
use verbatim_core::model::{ExchangeId, ExchangeRecord, Leg};
use verbatim_core::ports::{Archive, Clock, Commit, Committed, ListRequest, SystemClock};
use verbatim_testkit::ExchangeBuilder;

use crate::calls::mixed;
use crate::client::Seen;
use crate::ground::{Ground, calls};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Records are kept for so many days, their bodies for [`BODIES_DAYS`].
const METADATA_DAYS: u32 = 10;
const BODIES_DAYS: u32 = 8;
/// How often every recorder enforces it in a test: whenever it starts.
const PASSES: usize = 4;
/// Days that lie between what two passes delete: more than a week.
const WEEKS_APART: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(240);

/// A record of so many days ago.
fn of_day(days: u32) -> ExchangeRecord {
    let id = ExchangeId::lowest_at(SystemClock.now().minus(DAY * days));
    ExchangeBuilder::new(id).request(format!("what was asked {days} days ago")).build()
}

/// Archives a record of each of these days, as if it had grown old since.
async fn archive_aged(archive: &PostgresArchive, days: impl Iterator<Item = u32>) -> Vec<ExchangeId> {
    let records: Vec<_> = days.map(of_day).collect();
    let ids = records.iter().map(|record| record.exchange.id).collect();
    let began = Instant::now();
    loop {
        let batch = records.iter().map(|record| Commit { record: record.clone() }).collect();
        match archive.commit(batch).await {
            Ok(committed) => {
                assert!(committed.iter().all(|one| matches!(one, Committed::Stored)), "{committed:?}");
                return ids;
            }
            // Retention came between.
            Err(error) => assert!(error.is_transient() && began.elapsed() < PATIENCE, "{error}"),
        }
    }
}

async fn until_gone(archive: &PostgresArchive, ids: &[ExchangeId]) {
    let began = Instant::now();
    while !archive.get_many(ids).await.unwrap().is_empty() {
        assert!(began.elapsed() < PATIENCE, "what is past its retention is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Opens the newest exchanges again and again: none of their bodies may be missing. Tells how many it opened.
async fn read_on(archive: PostgresArchive, done: Arc<AtomicBool>) -> usize {
    let mut opened = 0;
    while !done.load(Ordering::Relaxed) {
        let page = archive.list(ListRequest { limit: 60, ..ListRequest::default() }).await.unwrap();
        let today = SystemClock.now().minus(DAY / 24);
        for exchange in page.exchanges.iter().filter(|exchange| exchange.id.time() > today).step_by(7) {
            let body = archive.body(exchange.id, Leg::ClientRequest).await.unwrap();
            assert!(body.is_some_and(|body| !body.bytes.is_empty()), "{} has no body", exchange.id);
            opened += 1;
        }
    }
    archive.close().await;
    opened
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn retention_of_days_under_load_deletes_what_is_older_and_nothing_else() {
    let (metadata, bodies) = (METADATA_DAYS.to_string(), BODIES_DAYS.to_string());
    let days =
        [("VERBATIM_RETENTION__METADATA_DAYS", &*metadata), ("VERBATIM_RETENTION__BODIES_DAYS", &*bodies)];
    let mut ground = Ground::without_recorders("required", &days).await;
    let archive = ground.open_archive().await;
    let younger = archive_aged(&archive, 1..BODIES_DAYS).await;
    let without_their_bodies = archive_aged(&archive, BODIES_DAYS + 1..METADATA_DAYS).await;
    ground.recorders.iter_mut().for_each(|place| place.start(&ground.engines));
    let (done, mut readers) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    readers.spawn(read_on(ground.open_archive().await, Arc::clone(&done)));
    let load = ground.begin("aged", calls(1_200, 20_000));
    for pass in 1..=PASSES {
        load.reached(pass, PASSES + 2).await;
        // Each time of younger weeks: what is below those that were deleted is not stored again.
        let youngest = METADATA_DAYS + 2 + WEEKS_APART * (PASSES - pass) as u32;
        let older = archive_aged(&archive, youngest..youngest + 3).await;
        let recorder = &mut ground.recorders[pass % 2];
        recorder.stop();
        recorder.start(&ground.engines);
        until_gone(&archive, &older).await;
    }
    let seen = load.finish().await;
    done.store(true, Ordering::Relaxed);
    let opened: usize = readers.join_all().await.into_iter().sum();
    eprintln!("{opened} exchanges were opened meanwhile");
    assert!(opened > 0);
    ground.all_is_there(&seen).await;
    for id in younger {
        let body = archive.body(id, Leg::ClientRequest).await.unwrap();
        assert!(body.is_some_and(|body| body.bytes.starts_with(b"what was asked")), "{id} has no body");
    }
    assert_eq!(archive.get_many(&without_their_bodies).await.unwrap().len(), without_their_bodies.len());
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_limit_on_records_enforced_under_load_keeps_the_newest_and_keeps_them_whole() {
    const KEPT: usize = 300;
    let limit = KEPT.to_string();
    let limit = [("VERBATIM_RETENTION__MAX_EXCHANGES", &*limit)];
    let mut ground = Ground::without_recorders("required", &limit).await;
    ground.recorders.iter_mut().for_each(|place| place.start(&ground.engines));
    let count = calls(1_200, 20_000);
    let load = ground.begin_with((0..count).map(|number| mixed("newest", number)).collect());
    for pass in 1..=PASSES {
        load.reached(pass, PASSES + 1).await;
        let recorder = &mut ground.recorders[pass % 2];
        recorder.stop();
        recorder.start(&ground.engines);
    }
    let mut seen = load.finish().await;
    // Once all is archived, the last pass.
    drop(ground.archive(usize::MAX).await);
    ground.recorders[0].stop();
    ground.recorders[0].start(&ground.engines);
    let began = Instant::now();
    while ground.records() > KEPT {
        assert!(began.elapsed() < PATIENCE, "more than {KEPT} records are left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ids: BTreeSet<String> = seen.iter().flatten().map(id_of).collect();
    assert_eq!(ids.len(), count);
    let newest: BTreeSet<&String> = ids.iter().rev().take(KEPT).collect();
    let records = ground.archive(usize::MAX).await;
    let kept: HashMap<String, _> =
        records.values().flatten().map(|record| (record.exchange.id.to_string(), record)).collect();
    assert_eq!(kept.keys().collect::<BTreeSet<_>>(), newest);
    for seen in &mut seen {
        seen.retain(|seen| newest.contains(&id_of(seen)));
    }
    ground.all_is_there(&seen).await;
}

/// Opens bodies again and again that may be deleted meanwhile: each is whole, or gone. Tells how often it found one.
async fn read_old(archive: PostgresArchive, ids: Vec<ExchangeId>, done: Arc<AtomicBool>) -> usize {
    let mut opened = 0;
    while !done.load(Ordering::Relaxed) {
        for &id in &ids {
            opened += usize::from(archive.body(id, Leg::ClientRequest).await.unwrap().is_some());
        }
    }
    archive.close().await;
    opened
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_limit_on_bytes_enforced_under_load_deletes_the_oldest_bodies_and_no_more_than_must() {
    const WEEKS: u32 = 12;
    let week = calls(2, 34) << 20;
    let mut ground = Ground::without_recorders("required", &[]).await;
    let archive = ground.open_archive().await;
    let mut aged = Vec::new();
    for days in (1..=WEEKS).rev().map(|week| 7 * week) {
        let mut bytes = vec![0; week];
        blake3::Hasher::new().update(&days.to_le_bytes()).finalize_xof().fill(&mut bytes);
        let id = ExchangeId::lowest_at(SystemClock.now().minus(DAY * days));
        let record = ExchangeBuilder::new(id).request(bytes).build();
        let committed = archive.commit(vec![Commit { record }]).await.unwrap();
        assert!(matches!(committed[..], [Committed::Stored]), "{committed:?}");
        aged.push(id);
    }
    // Whatever is stored from now on is too much.
    let limit = archive.health().await.unwrap().bytes;
    ground.engines.set("VERBATIM_RETENTION__MAX_BYTES", &limit.to_string());
    ground.recorders.iter_mut().for_each(|place| place.start(&ground.engines));
    let (done, mut readers) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    readers.spawn(read_on(ground.open_archive().await, Arc::clone(&done)));
    readers.spawn(read_old(ground.open_archive().await, aged.clone(), Arc::clone(&done)));
    let load = ground.begin("bytes", calls(1_200, 20_000));
    for pass in 1..=PASSES {
        load.reached(pass, PASSES + 1).await;
        let recorder = &mut ground.recorders[pass % 2];
        recorder.stop();
        recorder.start(&ground.engines);
    }
    let seen = load.finish().await;
    done.store(true, Ordering::Relaxed);
    let opened = readers.join_all().await;
    ground.all_is_there(&seen).await;
    // Once all is archived, the last pass.
    ground.recorders[0].stop();
    ground.recorders[0].start(&ground.engines);
    let began = Instant::now();
    let left = loop {
        let left = archive.health().await.unwrap().bytes;
        if left <= limit {
            break left;
        }
        assert!(began.elapsed() < PATIENCE, "{left} bytes are left, of which {limit} may be");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let mut there = Vec::new();
    for &id in &aged {
        there.push(archive.body(id, Leg::ClientRequest).await.unwrap().is_some());
    }
    let kept = there.iter().filter(|there| **there).count();
    eprintln!("bodies of {kept} of {WEEKS} weeks and {left} of {limit} bytes are left; opened {opened:?}");
    assert!(there.is_sorted() && !there[0], "older bodies go before newer ones: {there:?}");
    assert!(left + 2 * week as u64 > limit, "more is gone than must");
    assert_eq!(archive.get_many(&aged).await.unwrap().len(), aged.len(), "records stay");
    ground.all_is_there(&seen).await;
    archive.close().await;
}

/// Ids sort by when they were minted.
fn id_of(seen: &Seen) -> String {
    seen.exchange.clone().expect("every call was answered")
}
