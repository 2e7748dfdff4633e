//! Exchanges that are open for long, and those that nobody will end.

use std::time::Duration;

use verbatim_core::model::{ExchangeId, Integrity, Leg, Outcome, Rank};
use verbatim_core::ports::{CaptureLog, Clock, Message, MessageKind, SystemClock};
use verbatim_proto::delta_encode;
use verbatim_proto::v1::{End, envelope};

use super::body;
use super::support::{ANSWER, Bed, GATEWAY, REQUEST, end, end_with, part, start, wait_until};

#[tokio::test]
async fn what_a_dead_gateway_left_open_becomes_one_incomplete_record_of_a_prefix() {
    let mut bed = Bed::new().await;
    let id = ExchangeId::mint();
    bed.append(start(id, REQUEST)).await;
    bed.append(part(id, 0, &ANSWER[..40])).await;
    bed.append(part(id, 40, &ANSWER[40..70])).await;
    bed.start();
    bed.wait_for_rank(id, Rank::Incomplete).await;
    let (exchange, _) = bed.archive.get(id).await.unwrap().unwrap();
    assert_eq!((exchange.outcome, exchange.duration_us), (Outcome::Incomplete, None));
    assert_eq!(body(&bed.archive, id, Leg::ClientResponse).await, ANSWER[..70]);
    assert_eq!(bed.archive.open_exchanges(None, 10).await.unwrap(), []);
    wait_until(async || bed.log.messages().is_empty()).await;
    bed.stop().await;
}

#[tokio::test]
async fn an_end_that_comes_after_its_exchange_was_settled_and_purged_completes_it() {
    let mut bed = Bed::new().await;
    let id = ExchangeId::mint();
    let first = bed.append(start(id, REQUEST)).await;
    let second = bed.append(part(id, 0, &ANSWER[..70])).await;
    bed.start();
    bed.wait_for_rank(id, Rank::Incomplete).await;
    wait_until(async || bed.log.messages().is_empty()).await;
    let third = bed.append(part(id, 70, &ANSWER[70..])).await;
    bed.append(end(id, &[first, second, third], false)).await;
    bed.wait_for_rank(id, Rank::Complete).await;
    let (exchange, heads) = bed.archive.get(id).await.unwrap().unwrap();
    assert_eq!(
        (exchange.integrity, exchange.method.as_str()),
        (Integrity::Whole, "POST"),
        "{:?}",
        heads.notes
    );
    assert_eq!(body(&bed.archive, id, Leg::ClientRequest).await, REQUEST);
    assert_eq!(body(&bed.archive, id, Leg::ClientResponse).await, ANSWER);
    bed.stop().await;
}

#[tokio::test]
async fn an_end_written_for_a_gateway_that_died_leaves_what_is_known_incomplete_and_undamaged() {
    let mut bed = Bed::new().await;
    let id = ExchangeId::mint();
    let first = bed.append(start(id, REQUEST)).await;
    let second = bed.append(part(id, 0, &ANSWER[..70])).await;
    let ended = End {
        outcome: u32::from(Outcome::Incomplete.number()),
        sequences: delta_encode([first, second]),
        ..End::default()
    };
    bed.append(end_with(id, ended)).await;
    bed.start();
    bed.wait_for_rank(id, Rank::Incomplete).await;
    let (exchange, _) = bed.archive.get(id).await.unwrap().unwrap();
    assert_eq!((exchange.integrity, exchange.duration_us), (Integrity::Whole, None));
    assert_eq!(body(&bed.archive, id, Leg::ClientRequest).await, REQUEST);
    assert_eq!(body(&bed.archive, id, Leg::ClientResponse).await, &ANSWER[..70]);
    bed.stop().await;
}

#[tokio::test]
async fn a_long_exchange_is_checkpointed_while_it_runs_and_whole_when_it_ends() {
    let mut bed = Bed::new().await;
    bed.config.checkpoint_after = Duration::ZERO;
    bed.log.heartbeat(GATEWAY).await.unwrap();
    let id = ExchangeId::mint();
    let mut sequences = vec![bed.append(start(id, REQUEST)).await];
    sequences.push(bed.append(part(id, 0, &ANSWER[..40])).await);
    bed.start();
    bed.wait_for_rank(id, Rank::Running).await;
    // The log lets go of what the checkpoint holds.
    wait_until(async || bed.log.messages().is_empty()).await;
    sequences.push(bed.append(part(id, 40, &ANSWER[40..])).await);
    bed.append(end(id, &sequences, false)).await;
    bed.wait_for_rank(id, Rank::Complete).await;
    let (exchange, _) = bed.archive.get(id).await.unwrap().unwrap();
    assert_eq!(exchange.integrity, Integrity::Whole);
    assert_eq!(body(&bed.archive, id, Leg::ClientResponse).await, ANSWER);
    bed.stop().await;
}

#[tokio::test]
async fn an_exchange_that_keeps_a_tenth_of_the_log_from_being_purged_is_checkpointed_though_it_is_young() {
    let mut bed = Bed::new().await;
    bed.log.say_max_bytes(2_000);
    bed.log.heartbeat(GATEWAY).await.unwrap();
    let id = ExchangeId::mint();
    bed.append(start(id, REQUEST)).await;
    bed.append(part(id, 0, &ANSWER[..40])).await;
    for _ in 0..10 {
        let other = ExchangeId::mint();
        let first = bed.append(start(other, REQUEST)).await;
        let second = bed.append(part(other, 0, ANSWER)).await;
        bed.append(end(other, &[first, second], false)).await;
    }
    bed.start();
    bed.wait_for_rank(id, Rank::Running).await;
    wait_until(async || bed.log.messages().is_empty()).await;
    bed.stop().await;
}

#[tokio::test]
async fn a_checkpoint_leaves_in_the_log_what_comes_behind_a_hole_that_may_be_filled() {
    let mut bed = Bed::new().await;
    bed.config.checkpoint_after = Duration::ZERO;
    bed.log.heartbeat(GATEWAY).await.unwrap();
    let (id, other) = (ExchangeId::mint(), ExchangeId::mint());
    let first = bed.append(start(id, REQUEST)).await;
    // A message that was not taken at first comes behind those that were sent with it.
    let last = bed.append(part(id, 60, &ANSWER[60..])).await;
    let whole = bed.append(start(other, REQUEST)).await;
    bed.start();
    let opened = async |id, from| {
        let open = bed.archive.open_exchanges(None, 10).await.unwrap();
        open.iter().any(|open| open.id == id && open.sequence >= from)
    };
    bed.wait_for_rank(id, Rank::Running).await;
    wait_until(async || opened(other, whole + 1).await).await;
    assert!(!opened(id, first + 1).await, "the log may let go of what no checkpoint holds");
    let between = bed.append(part(id, 0, &ANSWER[..60])).await;
    bed.append(end(id, &[first, last, between], false)).await;
    bed.wait_for_rank(id, Rank::Complete).await;
    let (exchange, heads) = bed.archive.get(id).await.unwrap().unwrap();
    assert_eq!(exchange.integrity, Integrity::Whole, "{:?}", heads.notes);
    assert_eq!(body(&bed.archive, id, Leg::ClientResponse).await, ANSWER);
    bed.stop().await;
}

#[tokio::test]
async fn a_checkpoint_keeps_the_head_of_an_answer_whose_first_byte_has_not_come() {
    let mut bed = Bed::new().await;
    bed.config.checkpoint_after = Duration::ZERO;
    bed.log.heartbeat(GATEWAY).await.unwrap();
    let id = ExchangeId::mint();
    let mut sequences = vec![bed.append(start(id, REQUEST)).await];
    bed.start();
    bed.wait_for_rank(id, Rank::Running).await;
    let head = verbatim_proto::v1::Head {
        leg: u32::from(Leg::ClientResponse.number()),
        version: "HTTP/1.1".into(),
        status: Some(200),
        at_us: 900,
        ..Default::default()
    };
    let part = verbatim_proto::v1::Part { heads: vec![head], ..Default::default() };
    let payload = verbatim_proto::encode(id, GATEWAY, envelope::Message::Part(part));
    let gateway = GATEWAY.to_owned();
    sequences.push(bed.append(Message { kind: MessageKind::Part, gateway, exchange: id, payload }).await);
    wait_until(async || bed.log.messages().is_empty()).await;
    bed.append(end(id, &sequences, true)).await;
    bed.wait_for_rank(id, Rank::Complete).await;
    let (_, heads) = bed.archive.get(id).await.unwrap().unwrap();
    assert_eq!(heads.response.map(|head| head.at_us), Some(900));
    bed.stop().await;
}

#[tokio::test]
async fn a_start_from_before_the_clock_was_set_back_is_not_held_until_the_clock_is_there_again() {
    let mut bed = Bed::new().await;
    bed.config.hold = Duration::from_millis(50);
    bed.log.heartbeat(GATEWAY).await.unwrap();
    let later = SystemClock.now().plus(Duration::from_secs(3600));
    let id = ExchangeId::lowest_at(later);
    bed.append(start(id, REQUEST)).await;
    bed.start();
    wait_until(async || !bed.archive.open_exchanges(None, 10).await.unwrap().is_empty()).await;
    bed.stop().await;
}

#[tokio::test]
async fn what_a_gateway_writes_that_was_taken_for_dead_is_kept_for_its_end() {
    let mut bed = Bed::new().await;
    let (id, other) = (ExchangeId::mint(), ExchangeId::mint());
    let first = bed.append(start(id, REQUEST)).await;
    let second = bed.append(part(id, 0, &ANSWER[..70])).await;
    bed.start();
    bed.wait_for_rank(id, Rank::Incomplete).await;
    wait_until(async || bed.log.messages().is_empty()).await;
    // It was only cut off.
    bed.log.heartbeat(GATEWAY).await.unwrap();
    wait_until(async || !bed.archive.open_exchanges(None, 10).await.unwrap().is_empty()).await;
    let third = bed.append(part(id, 70, &ANSWER[70..])).await;
    let (one, two) = (bed.append(start(other, REQUEST)).await, bed.append(part(other, 0, ANSWER)).await);
    bed.append(end(other, &[one, two], false)).await;
    bed.wait_for_rank(other, Rank::Complete).await;
    assert_eq!(bed.log.read(&[third]).await.unwrap().iter().flatten().count(), 1);
    bed.append(end(id, &[first, second, third], false)).await;
    bed.wait_for_rank(id, Rank::Complete).await;
    let (exchange, heads) = bed.archive.get(id).await.unwrap().unwrap();
    assert_eq!(exchange.integrity, Integrity::Whole, "{:?}", heads.notes);
    assert_eq!(body(&bed.archive, id, Leg::ClientResponse).await, ANSWER);
    assert_eq!(bed.archive.open_exchanges(None, 10).await.unwrap(), []);
    bed.stop().await;
}

#[tokio::test]
async fn what_was_read_stays_in_the_log_for_a_while_as_long_as_there_is_room() {
    let mut bed = Bed::new().await;
    bed.config.keep_read = Duration::from_secs(3600);
    bed.log.heartbeat(GATEWAY).await.unwrap();
    let record = async |bed: &Bed| {
        let id = ExchangeId::mint();
        let first = bed.append(start(id, REQUEST)).await;
        let second = bed.append(part(id, 0, ANSWER)).await;
        bed.append(end(id, &[first, second], false)).await;
        bed.wait_for_rank(id, Rank::Complete).await;
    };
    bed.start();
    record(&bed).await;
    bed.stop().await;
    assert_eq!(bed.log.messages().len(), 3, "a stopping recorder leaves it, too");
    bed.log.say_max_bytes(1);
    bed.start();
    record(&bed).await;
    wait_until(async || bed.log.messages().is_empty()).await;
    bed.stop().await;
}
