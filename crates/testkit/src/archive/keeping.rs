//! What is deleted, what is kept, and what is copied.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use verbatim_core::model::{ExchangeId, ExchangeRecord, Leg};
use verbatim_core::ports::{Archive, Erased, ListRequest, OpenExchange, PortError, Retention, StatsRequest};

use super::{DAY, MakeArchiveWorld, begun_at, commit, get, noise, now, store, words_of};
use crate::ExchangeBuilder;

/// One record a day for so many days, the oldest first, each with a body.
pub(super) fn daily(days: u32) -> Vec<ExchangeRecord> {
    let of_day = |day: u32| {
        begun_at(now().minus(DAY * (days - 1 - day)), day).request(noise(day.into(), 6000)).build()
    };
    (0..days).map(of_day).collect()
}

async fn ids(archive: &dyn Archive) -> Vec<ExchangeId> {
    let page = archive.list(ListRequest { limit: 1000, ..ListRequest::default() }).await.unwrap();
    page.exchanges.iter().rev().map(|exchange| exchange.id).collect()
}

async fn has_body(archive: &dyn Archive, record: &ExchangeRecord) -> bool {
    archive.body(record.exchange.id, Leg::ClientRequest).await.unwrap().is_some()
}

/// Zero means for ever.
pub async fn nothing_is_deleted_that_nobody_asked_to_delete(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let records = daily(40);
    store(&*archive, records.clone()).await;
    let erased = archive.enforce(Retention::default(), now().plus(DAY * 4000)).await.unwrap();
    assert_eq!(erased, Erased::default());
    let generous = Retention { bodies_days: 60, metadata_days: 60, max_exchanges: 40, max_bytes: 1 << 40 };
    assert_eq!(archive.enforce(generous, now()).await.unwrap(), Erased::default());
    for record in &records {
        assert!(has_body(&*archive, record).await);
    }
    world.close().await;
}

/// The record says so.
pub async fn old_bodies_go_and_records_stay(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let records = daily(40);
    store(&*archive, records.clone()).await;
    let retention = Retention { bodies_days: 20, ..Retention::default() };
    let erased = archive.enforce(retention, now()).await.unwrap();
    assert_eq!((erased.exchanges, archive.deleted().await.unwrap().records_through), (0, None));
    let (mut gone, mut there) = (0, 0);
    for (age, record) in records.iter().rev().enumerate() {
        let (exchange, heads) = archive.get(record.exchange.id).await.unwrap().expect("records stay");
        assert_eq!(exchange, record.exchange);
        assert_eq!(heads.legs, record.heads.legs);
        let has_body = has_body(&*archive, record).await;
        // Whole weeks go at a time, so bodies may stay a week longer, and never go sooner.
        assert!(has_body || age >= 20, "a body of {age} days is gone");
        assert!(!has_body || age <= 27, "a body of {age} days is there");
        assert_eq!(heads.notes.is_empty(), has_body);
        *(if has_body { &mut there } else { &mut gone }) += 1;
    }
    assert!(gone >= 12 && there >= 20);
    assert_eq!(erased.bodies, gone);
    assert_eq!(archive.enforce(retention, now()).await.unwrap(), Erased::default());
    // One that comes late does not bring deleted bodies back.
    let late = begun_at(now().minus(DAY * 38), 999).request("late").build();
    store(&*archive, vec![late.clone()]).await;
    drop(archive);
    world.kill().await;
    let archive = world.open().await;
    assert!(!has_body(&*archive, &late).await);
    assert!(!has_body(&*archive, &records[0]).await);
    assert!(has_body(&*archive, &records[39]).await);
    world.close().await;
}

/// Whatever is replayed. Sums outlive the records they count.
pub async fn old_records_go_and_do_not_come_back(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    archive.keep_outbox().await.unwrap();
    let records = daily(40);
    store(&*archive, records.clone()).await;
    let all: Vec<_> = records.iter().map(|record| record.exchange.id).collect();
    let gateway = "gateway-1".to_owned();
    let old = OpenExchange { id: begun_at(now().minus(DAY * 39), 77).exchange().id, gateway, sequence: 1 };
    archive.open(std::slice::from_ref(&old), false).await.unwrap();
    let sums = async |archive: &dyn Archive| {
        let range = now().minus(DAY * 50)..now().plus(DAY);
        archive.stats(StatsRequest { range, step: DAY, model: None, provider: None }).await.unwrap().totals
    };
    let before = sums(&*archive).await;
    let erased =
        archive.enforce(Retention { metadata_days: 10, ..Retention::default() }, now()).await.unwrap();
    let left = ids(&*archive).await;
    assert!(left.len() >= 10 && left.len() <= 12, "{}", left.len());
    assert_eq!(left, all[40 - left.len()..]);
    assert_eq!(erased.exchanges, 40 - left.len() as u64);
    let through = archive.deleted().await.unwrap().records_through.expect("what was deleted is told");
    assert!(all[39 - left.len()] <= through && through < left[0]);
    assert_eq!(archive.health().await.unwrap().exchanges, left.len() as u64);
    // One more has the index forget the others.
    assert_eq!(archive.health().await.unwrap().outbox, left.len() as u64 + 1);
    assert!(archive.open_exchanges(None, 10).await.unwrap().is_empty());
    // A replay.
    let committed = commit(&*archive, records[..20].to_vec()).await;
    assert!(words_of(&committed).iter().all(|word| *word == "superseded"));
    archive.open(&[old], false).await.unwrap();
    assert!(archive.open_exchanges(None, 10).await.unwrap().is_empty());
    assert!(archive.ranks(&all[..1]).await.unwrap()[0].is_some(), "nobody is to wait for it");
    drop(archive);
    world.kill().await;
    let archive = world.open().await;
    assert_eq!(ids(&*archive).await, left);
    assert!(get(&*archive, all[0]).await.is_none());
    assert!(archive.body(all[0], Leg::ClientRequest).await.unwrap().is_none());
    assert_eq!(sums(&*archive).await, before);
    world.close().await;
}

/// Oldest first.
pub async fn the_oldest_records_go_when_there_are_too_many(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let records: Vec<_> = (0..50).map(|_| ExchangeBuilder::minted().request("x").build()).collect();
    store(&*archive, records.clone()).await;
    let retention = Retention { max_exchanges: 20, ..Retention::default() };
    let erased = archive.enforce(retention, now()).await.unwrap();
    let left = ids(&*archive).await;
    assert_eq!(left, records[30..].iter().map(|record| record.exchange.id).collect::<Vec<_>>());
    let through = archive.deleted().await.unwrap().records_through;
    assert_eq!((erased.exchanges, through), (30, Some(records[29].exchange.id)));
    assert_eq!(archive.enforce(retention, now()).await.unwrap().exchanges, 0);
    assert!(has_body(&*archive, &records[49]).await);
    world.close().await;
}

/// Every record in it has its bodies, and those stored before it began are in it.
pub async fn a_backup_taken_while_writing_is_whole(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    if let Some(tool) = world.backup_tool() {
        return refuses_to_back_up(&*archive, tool).await;
    }
    let record = |n: u32| {
        begun_at(now(), n).request(noise(u64::from(n % 50), 20_000)).response(noise(n.into(), 900)).build()
    };
    let before: Vec<_> = (0..200).map(record).collect();
    store(&*archive, before.clone()).await;
    let (writer, done) = (Arc::clone(&archive), Arc::new(Notify::new()));
    let stop = Arc::clone(&done);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        for n in 200.. {
            let stopped = tokio::time::timeout(Duration::from_millis(1), stop.notified()).await;
            store(&*writer, vec![record(n)]).await;
            if stopped.is_ok() {
                return n;
            }
        }
        0
    });
    let directory = tempfile::tempdir().expect("a directory for the backup");
    let target = directory.path().join("copies").join("today");
    archive.backup(&target).await.unwrap();
    done.notify_one();
    let last = tasks.join_next().await.expect("the writer ends").expect("the writer does not fail");
    world.close().await;
    let backup = world.open_backup(&target).await;
    let copied = ids(&*backup).await;
    assert!(copied.len() >= 200 && copied.len() <= last as usize + 1);
    for id in copied {
        for leg in [Leg::ClientRequest, Leg::ClientResponse] {
            assert!(backup.body(id, leg).await.unwrap().is_some());
        }
    }
    store(&*backup, vec![ExchangeBuilder::minted().request("a backup goes on as an archive").build()]).await;
}

/// It names the tool that does it, and writes nothing.
async fn refuses_to_back_up(archive: &dyn Archive, tool: &str) {
    let directory = tempfile::tempdir().expect("a directory for the backup");
    let target = directory.path().join("today");
    let error = archive.backup(&target).await.unwrap_err();
    assert!(matches!(&error, PortError::Permanent(why) if why.contains(tool)), "{error}");
    assert!(!target.exists());
}

/// Nothing is overwritten.
pub async fn a_backup_does_not_go_over_anything(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let directory = tempfile::tempdir().expect("a directory for the backup");
    let precious = directory.path().join("precious");
    std::fs::write(&precious, "precious").expect("a file is written");
    match world.backup_tool() {
        Some(tool) => refuses_to_back_up(&*archive, tool).await,
        None => assert!(matches!(archive.backup(directory.path()).await, Err(PortError::Conflict(_)))),
    }
    assert_eq!(std::fs::read(&precious).expect("it is still there"), b"precious");
    world.close().await;
}

/// Records, bytes, what waits.
pub async fn health_counts_what_is_there(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    archive.keep_outbox().await.unwrap();
    let health = archive.health().await.unwrap();
    assert_eq!((health.exchanges, health.outbox, health.captured_bytes), (0, 0, 0));
    let records: Vec<_> = (0..10)
        .map(|n| ExchangeBuilder::minted().request(noise(n, 1000)).response(noise(n, 500)).build())
        .collect();
    store(&*archive, records).await;
    let health = archive.health().await.unwrap();
    assert_eq!((health.exchanges, health.outbox, health.captured_bytes), (10, 10, 15_000));
    assert!(health.bytes >= 10_000, "{}", health.bytes);
    world.close().await;
}
