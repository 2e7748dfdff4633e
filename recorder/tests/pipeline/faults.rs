//! An archive that can't be read, or that refuses.

use std::sync::Arc;
use std::time::Duration;

use verbatim_core::model::{ExchangeId, Integrity, Leg, Outcome, Rank};
use verbatim_core::ports::{CaptureLog, MessageKind};
use verbatim_testkit::FaultyArchive;

use super::body;
use super::support::counters::Counters;
use super::support::{ANSWER, Bed, GATEWAY, REQUEST, end, part, start, wait_until};

/// A bed whose archive has faults, and an exchange that was settled or checkpointed and is no longer in the log, with
/// the places of its messages.
async fn purged(rank: Rank) -> (Bed, Arc<FaultyArchive>, ExchangeId, Vec<u64>) {
    let mut bed = Bed::new().await;
    if rank == Rank::Running {
        bed.config.checkpoint_after = Duration::ZERO;
        bed.log.heartbeat(GATEWAY).await.expect("a log in memory");
    }
    let archive = Arc::new(FaultyArchive::new(Arc::clone(&bed.archive)));
    let id = ExchangeId::mint();
    let sequences = vec![bed.append(start(id, REQUEST)).await, bed.append(part(id, 0, &ANSWER[..70])).await];
    bed.start_with(Arc::clone(&archive) as _);
    bed.wait_for_rank(id, rank).await;
    wait_until(async || bed.log.messages().is_empty()).await;
    (bed, archive, id, sequences)
}

#[tokio::test]
async fn a_late_end_of_an_exchange_whose_archived_body_is_damaged_is_archived_as_damaged() {
    for rank in [Rank::Incomplete, Rank::Running] {
        let (mut bed, archive, id, mut sequences) = purged(rank).await;
        archive.damage_body(id, Leg::ClientResponse);
        sequences.push(bed.append(part(id, 70, &ANSWER[70..])).await);
        bed.append(end(id, &sequences, false)).await;
        bed.wait_for_rank(id, Rank::Damaged).await;
        let (exchange, heads) = bed.archive.get(id).await.unwrap().unwrap();
        assert_eq!((exchange.integrity, exchange.method.as_str()), (Integrity::Damaged, "POST"));
        assert!(
            heads.notes.iter().any(|note| note.contains("archived before can't be read")),
            "{:?}",
            heads.notes
        );
        assert_eq!(body(&bed.archive, id, Leg::ClientRequest).await, REQUEST);
        assert_eq!(body(&bed.archive, id, Leg::ClientResponse).await, &ANSWER[70..]);
        bed.stop().await;
    }
}

#[tokio::test]
async fn a_late_end_of_an_exchange_whose_archived_record_is_damaged_is_archived_as_damaged() {
    let (mut bed, archive, id, sequences) = purged(Rank::Incomplete).await;
    archive.damage_record(id);
    bed.append(end(id, &sequences, true)).await;
    bed.wait_for_rank(id, Rank::Damaged).await;
    assert_eq!(body(&bed.archive, id, Leg::ClientResponse).await, ANSWER);
    bed.stop().await;
}

#[tokio::test]
async fn what_a_dead_gateway_left_open_is_settled_though_its_checkpoint_is_damaged() {
    let (mut bed, archive, id, _) = purged(Rank::Running).await;
    archive.damage_body(id, Leg::ClientResponse);
    bed.stop().await;
    bed.log.restart();
    bed.log.heartbeat("another gateway").await.unwrap();
    bed.start_with(archive);
    bed.wait_for_rank(id, Rank::Incomplete).await;
    let (exchange, heads) = bed.archive.get(id).await.unwrap().unwrap();
    assert_eq!(exchange.outcome, Outcome::Incomplete);
    assert!(
        heads.notes.iter().any(|note| note.contains("archived before can't be read")),
        "{:?}",
        heads.notes
    );
    bed.stop().await;
}

#[tokio::test]
async fn an_open_exchange_that_the_archive_refuses_is_kept_as_dead_letters_and_pins_nothing() {
    let mut bed = Bed::new().await;
    let archive = Arc::new(FaultyArchive::new(Arc::clone(&bed.archive)));
    let (refused, neighbour) = (ExchangeId::mint(), ExchangeId::mint());
    archive.refuse(refused);
    bed.append(start(refused, REQUEST)).await;
    bed.append(start(neighbour, REQUEST)).await;
    bed.append(part(refused, 0, &ANSWER[..40])).await;
    bed.start_with(archive);
    bed.wait_for_rank(neighbour, Rank::Incomplete).await;
    wait_until(async || bed.log.messages().is_empty()).await;
    assert_eq!(bed.archive.open_exchanges(None, 10).await.unwrap(), []);
    let letters = bed.log.dead_letters();
    let kinds: Vec<_> = letters.iter().map(|letter| (letter.message.exchange, letter.message.kind)).collect();
    assert_eq!(kinds, [(refused, MessageKind::Start), (refused, MessageKind::Part)]);
    bed.stop().await;
}

#[tokio::test]
async fn an_end_that_comes_again_after_its_exchange_was_archived_and_purged_is_no_alarm() {
    let counters = Counters::default();
    let _counting = metrics::set_default_local_recorder(&counters);
    let mut bed = Bed::new().await;
    let (whole, damaged) = (ExchangeId::mint(), ExchangeId::mint());
    let first = bed.append(start(whole, REQUEST)).await;
    let second = bed.append(part(whole, 0, ANSWER)).await;
    bed.append(end(whole, &[first, second], false)).await;
    let third = bed.append(start(damaged, REQUEST)).await;
    bed.append(end(damaged, &[third, third + 1000], false)).await;
    bed.start();
    bed.wait_for_rank(whole, Rank::Complete).await;
    bed.wait_for_rank(damaged, Rank::Damaged).await;
    wait_until(async || bed.log.messages().is_empty()).await;
    let letters = bed.log.dead_letters();
    assert_eq!(letters.len(), 1);
    bed.append(end(whole, &[first, second], false)).await;
    bed.append(end(damaged, &[third, third + 1000], false)).await;
    wait_until(async || bed.log.messages().is_empty()).await;
    assert_eq!(bed.log.dead_letters(), letters);
    assert_eq!(counters.sum("verbatim_recorder_dead_letters_total"), 1);
    assert_eq!(counters.sum("verbatim_exchanges_total"), 2);
    assert_eq!(body(&bed.archive, whole, Leg::ClientResponse).await, ANSWER);
    bed.stop().await;
}

#[tokio::test]
async fn an_exchange_is_counted_once_however_often_the_archive_fails_and_its_end_comes() {
    let counters = Counters::default();
    let _counting = metrics::set_default_local_recorder(&counters);
    let mut bed = Bed::new().await;
    let archive = Arc::new(FaultyArchive::new(Arc::clone(&bed.archive)));
    archive.fail_commits(3);
    let id = ExchangeId::mint();
    let first = bed.append(start(id, REQUEST)).await;
    for _ in 0..2 {
        bed.append(end(id, &[first], true)).await;
    }
    bed.start_with(archive);
    bed.wait_for_rank(id, Rank::Complete).await;
    wait_until(async || bed.log.messages().is_empty()).await;
    assert_eq!(counters.sum("verbatim_exchanges_total"), 1);
    bed.stop().await;
}

#[tokio::test]
async fn the_oldest_that_is_not_archived_is_told_until_it_is() {
    const PENDING: &str = "verbatim_oldest_pending_end_timestamp_seconds";
    const OPEN: &str = "verbatim_oldest_open_start_timestamp_seconds";
    let counters = Counters::default();
    let _counting = metrics::set_default_local_recorder(&counters);
    let mut bed = Bed::new().await;
    let archive = Arc::new(FaultyArchive::new(Arc::clone(&bed.archive)));
    archive.fail_commits(u32::MAX);
    bed.log.heartbeat(GATEWAY).await.expect("a log in memory");
    bed.start_with(Arc::clone(&archive) as _);
    wait_until(async || counters.gauge(PENDING) == Some(0.0) && counters.gauge(OPEN) == Some(0.0)).await;
    let (ended, open) = (ExchangeId::mint(), ExchangeId::mint());
    let first = bed.append(start(ended, REQUEST)).await;
    bed.append(end(ended, &[first], true)).await;
    let seconds = |id: ExchangeId| id.time().as_unix_us() as f64 / 1e6;
    wait_until(async || counters.gauge(PENDING).is_some_and(|since| since > 0.0)).await;
    let since = counters.gauge(PENDING).unwrap();
    assert!((since - seconds(ended)).abs() < 30.0, "{since}");
    archive.fail_commits(0);
    bed.wait_for_rank(ended, Rank::Complete).await;
    wait_until(async || counters.gauge(PENDING) == Some(0.0)).await;
    let second = bed.append(start(open, REQUEST)).await;
    wait_until(async || counters.gauge(OPEN) == Some(seconds(open))).await;
    bed.append(end(open, &[second], true)).await;
    wait_until(async || counters.gauge(OPEN) == Some(0.0)).await;
    bed.stop().await;
}

#[tokio::test]
async fn an_end_that_names_messages_of_another_exchange_takes_nothing_from_them() {
    let mut bed = Bed::new().await;
    let (id, other) = (ExchangeId::mint(), ExchangeId::mint());
    let foreign = [bed.append(start(other, "")).await, bed.append(part(other, 0, ANSWER)).await];
    let own = [bed.append(start(id, REQUEST)).await, bed.append(part(id, 0, &ANSWER[..50])).await];
    bed.append(end(id, &[foreign, own].concat(), false)).await;
    bed.start();
    bed.wait_for_rank(id, Rank::Damaged).await;
    let (_, heads) = bed.archive.get(id).await.unwrap().unwrap();
    assert!(heads.notes.iter().any(|note| note.contains("of another exchange")), "{:?}", heads.notes);
    assert_eq!(body(&bed.archive, id, Leg::ClientRequest).await, REQUEST);
    assert_eq!(body(&bed.archive, id, Leg::ClientResponse).await, &ANSWER[..50]);
    bed.stop().await;
}
