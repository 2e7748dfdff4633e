use std::sync::Arc;

use tempfile::TempDir;
use verbatim_archive_sqlite::SqliteArchive;
use verbatim_core::model::{Integrity, Leg};
use verbatim_core::ports::SystemClock;
use verbatim_testkit::{ExchangeBuilder, FaultyArchive};

use super::*;

/// An archive that fails on request, and where it lies.
struct Place {
    archive: FaultyArchive,
    _directory: TempDir,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let archive = SqliteArchive::open(directory.path(), Arc::new(SystemClock));
    Place { archive: FaultyArchive::new(Arc::new(archive.unwrap())), _directory: directory }
}

async fn fill(place: &Place, records: &[ExchangeRecord]) {
    let batch = records.iter().map(|record| Commit { record: record.clone() }).collect();
    place.archive.commit(batch).await.unwrap();
}

fn records(count: usize) -> Vec<ExchangeRecord> {
    let of = |n| ExchangeBuilder::minted().request(format!("question {n}")).response(format!("answer {n}"));
    (0..count).map(|n| of(n).build()).collect()
}

async fn run(from: &Place, to: &Place) -> Copied {
    copy(&from.archive, &to.archive, &CancellationToken::new(), |_| {}).await.unwrap()
}

async fn read_back(place: &Place, id: ExchangeId) -> ExchangeRecord {
    place.archive.read_many(&[id], u64::MAX).await.unwrap().remove(0).unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_already_is_not_copied_again() {
    let (from, to) = (place(), place());
    let records = records(2_300);
    fill(&from, &records).await;
    fill(&to, &records[500..600]).await;
    let bytes = |records: &[ExchangeRecord]| {
        records.iter().flat_map(|record| &record.bodies).map(|body| body.info.stored).sum::<u64>()
    };
    let bytes = bytes(&records[..500]) + bytes(&records[600..]);
    let first = Copied { seen: 2_300, stored: 2_200, bytes, already: 100, ..Copied::default() };
    assert_eq!(run(&from, &to).await, first);
    assert_eq!(run(&from, &to).await, Copied { seen: 2_300, already: 2_300, ..Copied::default() });
    for record in &records {
        assert_eq!(&read_back(&to, record.exchange.id).await, record);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_better_record_replaces_what_an_earlier_import_found_and_no_worse_one_does() {
    let (from, to) = (place(), place());
    let mut records = records(3);
    for record in &mut records {
        record.exchange.outcome = Outcome::Running;
    }
    fill(&from, &records).await;
    let first = run(&from, &to).await;
    assert_eq!((first.stored, first.running), (3, 3));
    assert_eq!(run(&from, &to).await, Copied { seen: 3, already: 3, running: 3, ..Copied::default() });
    for (record, outcome) in
        records.iter_mut().zip([Outcome::Completed, Outcome::Incomplete, Outcome::Running])
    {
        record.exchange.outcome = outcome;
    }
    fill(&from, &records[..2]).await;
    let mut better = records[1].clone();
    better.exchange.outcome = Outcome::TimedOut;
    fill(&to, std::slice::from_ref(&better)).await;
    let again = run(&from, &to).await;
    assert_eq!((again.stored, again.already, again.running), (1, 2, 1));
    assert_eq!(read_back(&to, records[0].exchange.id).await, records[0]);
    assert_eq!(read_back(&to, records[1].exchange.id).await, better);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_told_marked_and_carried_over_as_far_as_it_goes() {
    let (from, to) = (place(), place());
    let records = records(5);
    fill(&from, &records).await;
    let (body, heads) = (records[1].exchange.id, records[3].exchange.id);
    from.archive.damage_body(body, Leg::ClientResponse);
    from.archive.damage_record(heads);
    let copied = run(&from, &to).await;
    assert_eq!((copied.seen, copied.stored, copied.damaged, copied.lost), (5, 5, 2, 0));
    for record in [0, 2, 4].map(|at| &records[at]) {
        assert_eq!(&read_back(&to, record.exchange.id).await, record);
    }
    let found = read_back(&to, body).await;
    assert_eq!(found.exchange.integrity, Integrity::Damaged);
    assert_eq!(found.bodies, records[1].bodies[..1], "the leg that can be read is there");
    assert_eq!(found.heads.legs, records[1].heads.legs, "the other one is still known");
    assert!(found.heads.notes.iter().any(|note| note.contains("damaged")), "{:?}", found.heads.notes);
    let found = read_back(&to, heads).await;
    assert_eq!(found.exchange.integrity, Integrity::Damaged);
    assert_eq!(found.exchange.asked_preview, records[3].exchange.asked_preview);
    assert!(found.bodies.is_empty() && found.heads.notes.len() == 1);
    // Run again, it changes nothing.
    let again = run(&from, &to).await;
    assert_eq!((again.stored, again.already, again.damaged), (0, 5, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_for_a_while_is_waited_for_and_a_refusal_is_told() {
    let (from, to) = (place(), place());
    let records = records(20);
    fill(&from, &records).await;
    to.archive.fail_commits(3);
    to.archive.refuse(records[7].exchange.id);
    let copied = run(&from, &to).await;
    assert_eq!((copied.stored, copied.lost), (19, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_whole_exchanges_and_the_rest_for_the_next_time() {
    let (from, to) = (place(), place());
    let records = records(1_800);
    fill(&from, &records).await;
    let stop = CancellationToken::new();
    let copied = copy(&from.archive, &to.archive, &stop, |copied| {
        if copied.stored > 0 {
            stop.cancel();
        }
    });
    let copied = copied.await.unwrap();
    assert!((1..1_800).contains(&copied.stored), "{copied:?}");
    assert_eq!(to.archive.health().await.unwrap().exchanges, copied.stored);
    let rest = run(&from, &to).await;
    assert_eq!((rest.stored, rest.already), (1_800 - copied.stored, copied.stored));
}
