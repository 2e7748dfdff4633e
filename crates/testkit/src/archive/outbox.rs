//! What the search index has yet to take.

use std::collections::BTreeSet;

use verbatim_core::model::{ExchangeId, Leg, Outcome};
use verbatim_core::ports::{Archive, OutboxEntry, Retention};

use super::keeping::daily;
use super::{DAY, MakeArchiveWorld, now, store, various};
use crate::ExchangeBuilder;

fn ids(entries: &[OutboxEntry]) -> Vec<ExchangeId> {
    entries.iter().map(|entry| entry.id).collect()
}

fn numbers(entries: &[OutboxEntry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.number).collect()
}

async fn stored(archive: &dyn Archive, count: usize) -> Vec<ExchangeId> {
    let mut all = Vec::new();
    for _ in 0..count {
        let record = ExchangeBuilder::minted().build();
        all.push(record.exchange.id);
        store(archive, vec![record]).await;
    }
    all
}

/// Oldest first, also over a restart.
pub async fn a_record_has_an_outbox_entry_until_it_is_settled(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    archive.keep_outbox().await.unwrap();
    let all = stored(&*archive, 6).await;
    let first = archive.claim_outbox(4).await.unwrap();
    assert_eq!(ids(&first), all[..4]);
    assert!(first.iter().all(|entry| entry.failures == 0));
    archive.settle_outbox(&numbers(&first[..3])).await.unwrap();
    assert_eq!(archive.health().await.unwrap().outbox, 3);
    drop(archive);
    world.kill().await;
    let archive = world.open().await;
    assert_eq!(ids(&archive.claim_outbox(100).await.unwrap()), all[3..]);
    archive.settle_outbox(&[]).await.unwrap();
    archive.settle_outbox(&[u64::MAX, 12345]).await.unwrap();
    world.close().await;
}

/// Nobody indexes what another is at.
pub async fn an_entry_is_handed_to_one_taker_until_released_or_restarted(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    archive.keep_outbox().await.unwrap();
    let all = stored(&*archive, 5).await;
    let one = archive.claim_outbox(2).await.unwrap();
    let two = archive.claim_outbox(10).await.unwrap();
    assert_eq!((ids(&one), ids(&two)), (all[..2].to_vec(), all[2..].to_vec()));
    assert!(archive.claim_outbox(10).await.unwrap().is_empty());
    archive.release_outbox(&numbers(&one[1..])).await.unwrap();
    let again = archive.claim_outbox(10).await.unwrap();
    assert_eq!(ids(&again), [all[1]]);
    assert_eq!(again[0].failures, 1);
    archive.release_outbox(&numbers(&again)).await.unwrap();
    archive.settle_outbox(&numbers(&again)).await.unwrap();
    assert!(archive.claim_outbox(10).await.unwrap().is_empty());
    let newer = stored(&*archive, 1).await;
    assert_eq!(ids(&archive.claim_outbox(10).await.unwrap()), newer);
    world.close().await;
}

/// What is indexed is the record that stayed.
pub async fn a_replaced_record_gets_another_entry(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    archive.keep_outbox().await.unwrap();
    let id = ExchangeId::mint();
    let record = |outcome| ExchangeBuilder::new(id).with(|exchange| exchange.outcome = outcome).build();
    store(&*archive, vec![record(Outcome::Running)]).await;
    let first = archive.claim_outbox(10).await.unwrap();
    store(&*archive, vec![record(Outcome::Completed)]).await;
    archive.settle_outbox(&numbers(&first)).await.unwrap();
    let second = archive.claim_outbox(10).await.unwrap();
    assert_eq!(ids(&second), [id]);
    assert_ne!(numbers(&first), numbers(&second));
    world.close().await;
}

/// It stops nobody.
pub async fn what_is_set_aside_is_counted_and_not_handed_out(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    archive.keep_outbox().await.unwrap();
    stored(&*archive, 3).await;
    let entries = archive.claim_outbox(10).await.unwrap();
    archive.set_aside_outbox(entries[1].number, "too\0odd").await.unwrap();
    archive.set_aside_outbox(u64::MAX, "nobody").await.unwrap();
    archive.release_outbox(&numbers(&entries)).await.unwrap();
    let left = archive.claim_outbox(10).await.unwrap();
    assert_eq!(ids(&left), [entries[0].id, entries[2].id]);
    let health = archive.health().await.unwrap();
    assert_eq!((health.outbox, health.outbox_failed), (2, 1));
    // Nor is it overwritten by one of a later start.
    archive.settle_outbox(&numbers(&left)).await.unwrap();
    drop(archive);
    world.close().await;
    let archive = world.open().await;
    stored(&*archive, 3).await;
    for entry in archive.claim_outbox(10).await.unwrap() {
        archive.set_aside_outbox(entry.number, "odd").await.unwrap();
    }
    assert_eq!(archive.health().await.unwrap().outbox_failed, 4);
    world.close().await;
}

/// To rebuild the index: the newest first, and what was set aside gets another chance.
pub async fn refilling_makes_an_entry_for_every_record(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    archive.keep_outbox().await.unwrap();
    assert_eq!(archive.refill_outbox().await.unwrap(), 0);
    let records = various(57, 12, now());
    let mut expected: Vec<_> = records.iter().map(|record| record.exchange.id).collect();
    expected.sort();
    expected.reverse();
    store(&*archive, records).await;
    let old = archive.claim_outbox(100).await.unwrap();
    archive.set_aside_outbox(old[0].number, "odd").await.unwrap();
    archive.settle_outbox(&numbers(&old)).await.unwrap();
    for _ in 0..2 {
        // One that begins anew takes over what the one before had not got to.
        for _ in 0..2 {
            assert_eq!(archive.refill_outbox().await.unwrap(), 57);
            let health = archive.health().await.unwrap();
            assert_eq!((health.outbox, health.outbox_failed), (57, 0));
        }
        let entries = archive.claim_outbox(1000).await.unwrap();
        assert_eq!(ids(&entries), expected);
        archive.settle_outbox(&numbers(&entries)).await.unwrap();
    }
    assert_eq!(archive.refill_outbox().await.unwrap(), 57);
    let entries = archive.claim_outbox(1000).await.unwrap();
    assert_eq!(entries.len(), 57);
    let entries = archive.claim_outbox(1000).await.unwrap();
    assert!(entries.is_empty());
    // What an earlier rebuild handed out may still be settled.
    archive.settle_outbox(&numbers(&old)).await.unwrap();
    assert_eq!(archive.health().await.unwrap().outbox, 57);
    let distinct: BTreeSet<_> = numbers(&old).into_iter().collect();
    assert_eq!(distinct.len(), 57);
    world.close().await;
}

/// Whoever comes first: every record has an entry, or it is said that some are missing.
pub async fn what_was_stored_before_anybody_took_entries_is_made_up_for(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let mut all = stored(&*archive, 3).await;
    if archive.keep_outbox().await.unwrap() {
        drop(archive);
        world.kill().await;
        let archive = world.open().await;
        assert!(archive.keep_outbox().await.unwrap(), "they are missing until all were made");
        all.extend(stored(&*archive, 2).await);
        assert_eq!(archive.refill_outbox().await.unwrap(), 5);
        drop(archive);
    } else {
        all.extend(stored(&*archive, 2).await);
        drop(archive);
    }
    world.kill().await;
    let archive = world.open().await;
    assert!(!archive.keep_outbox().await.unwrap());
    let entries: BTreeSet<_> = ids(&archive.claim_outbox(100).await.unwrap()).into_iter().collect();
    assert_eq!(entries, all.into_iter().collect());
    world.close().await;
}

/// What an index was told of that the archive says otherwise now.
pub async fn what_is_noted_gets_an_entry(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    archive.keep_outbox().await.unwrap();
    let all = stored(&*archive, 3).await;
    let first = archive.claim_outbox(10).await.unwrap();
    archive.note_outbox(&all[..2]).await.unwrap();
    archive.note_outbox(&[]).await.unwrap();
    archive.settle_outbox(&numbers(&first)).await.unwrap();
    assert_eq!(ids(&archive.claim_outbox(10).await.unwrap()), all[..2]);
    world.close().await;
}

/// So that the index loses their text, too, and keeps their columns.
pub async fn records_that_lose_their_bodies_are_indexed_again(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    archive.keep_outbox().await.unwrap();
    let records = daily(40);
    store(&*archive, records.clone()).await;
    let first = archive.claim_outbox(100).await.unwrap();
    archive.settle_outbox(&numbers(&first)).await.unwrap();
    let before = archive.deleted().await.unwrap();
    archive.enforce(Retention { bodies_days: 20, ..Retention::default() }, now()).await.unwrap();
    let after = archive.deleted().await.unwrap();
    assert!(after.bodies > before.bodies && after.records_through.is_none());
    drop(archive);
    world.kill().await;
    let archive = world.open().await;
    let mut without = Vec::new();
    for record in &records {
        if archive.body(record.exchange.id, Leg::ClientRequest).await.unwrap().is_none() {
            without.push(record.exchange.id);
        }
    }
    assert!(without.len() >= 12, "{}", without.len());
    let claimed = archive.claim_outbox(5).await.unwrap();
    assert_eq!(claimed.len(), 5);
    drop(archive);
    world.kill().await;
    let archive = world.open().await;
    let mut again = Vec::new();
    loop {
        let entries = archive.claim_outbox(4).await.unwrap();
        if entries.is_empty() {
            break;
        }
        archive.settle_outbox(&numbers(&entries)).await.unwrap();
        again.extend(ids(&entries));
    }
    again.sort_unstable();
    assert_eq!(again, without);
    assert_eq!(archive.health().await.unwrap().outbox, 0);
    world.close().await;
}

/// One entry has the index forget all of them.
pub async fn the_last_record_that_is_deleted_has_an_entry(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    archive.keep_outbox().await.unwrap();
    store(&*archive, daily(40)).await;
    let first = archive.claim_outbox(100).await.unwrap();
    archive.settle_outbox(&numbers(&first)).await.unwrap();
    for days in [20, 10] {
        archive.enforce(Retention { metadata_days: days, ..Retention::default() }, now()).await.unwrap();
    }
    archive
        .enforce(Retention { metadata_days: 10, ..Retention::default() }, now().plus(DAY / 24))
        .await
        .unwrap();
    let through = archive.deleted().await.unwrap().records_through.expect("records were deleted");
    let entries = archive.claim_outbox(100).await.unwrap();
    assert_eq!(ids(&entries), [through]);
    assert!(archive.read_many(&[through], 1 << 20).await.unwrap()[0].as_ref().unwrap().is_none());
    archive.settle_outbox(&numbers(&entries)).await.unwrap();
    world.close().await;
}
