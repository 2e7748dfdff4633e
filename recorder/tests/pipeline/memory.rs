//! What the recorder holds at once, whatever the length of bodies.

use std::sync::Arc;

use bytes::Bytes;
use verbatim_core::model::{ExchangeId, Integrity, Leg, Rank};
use verbatim_core::ports::{Message, MessageKind, Sequence};
use verbatim_proto::v1::{End, LegSummary, Part, Piece, envelope};
use verbatim_proto::{PART_BYTES, delta_encode, encode, split};
use verbatim_recorder::Ports;
use verbatim_testkit::{FaultyArchive, FaultyLog};

use crate::body;
use crate::support::{Bed, GATEWAY, REQUEST, end_with, plain_end, start, summary};

/// Messages that are read back together are of about so many bytes.
const PAGE: u64 = 4 << 20;
/// Bodies in all batches that are under way, where each is shorter.
const BATCHES: u64 = 4 << 20;

/// Bytes that nothing packs.
fn noise(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

/// Leaves parts in the log; gives their places.
async fn leave_parts(bed: &Bed, id: ExchangeId, pieces: Vec<Piece>) -> Vec<Sequence> {
    let mut sequences = Vec::new();
    for piece in pieces {
        let part = envelope::Message::Part(Part { pieces: vec![piece], ..Part::default() });
        let payload = encode(id, GATEWAY, part);
        let part = Message { kind: MessageKind::Part, gateway: GATEWAY.to_owned(), exchange: id, payload };
        sequences.push(bed.append(part).await);
    }
    sequences
}

/// Leaves an exchange in the log whose answer is so long: its last piece in its end, as a gateway does.
async fn leave(bed: &Bed, answer: &Bytes) -> ExchangeId {
    let id = ExchangeId::mint();
    let mut sequences = vec![bed.append(start(id, REQUEST)).await];
    let mut pieces = split(Leg::ClientResponse, 0, answer, &[], PART_BYTES);
    let last = pieces.split_off(pieces.len().saturating_sub(1));
    sequences.extend(leave_parts(bed, id, pieces).await);
    let long = LegSummary {
        length: answer.len() as u64,
        hash: blake3::hash(answer).as_bytes().to_vec(),
        ..summary(Leg::ClientResponse, "")
    };
    let legs = vec![summary(Leg::ClientRequest, REQUEST), long];
    bed.append(end_with(id, End { sequences: delta_encode(sequences), legs, pieces: last, ..plain_end() }))
        .await;
    id
}

#[tokio::test]
async fn bodies_longer_than_any_batch_pass_one_by_one_and_few_of_their_messages_are_held() {
    const LONG: usize = 20 << 20;
    let mut bed = Bed::new().await;
    bed.config.batch_bytes = BATCHES;
    let mut left = Vec::new();
    for (seed, length) in [(1, LONG), (2, 3_000_000), (3, LONG), (4, 3_000_000), (5, 3_000_000), (6, LONG)] {
        let answer = noise(seed, length);
        left.push((leave(&bed, &answer).await, answer));
    }
    let log = Arc::new(FaultyLog::new(Arc::clone(&bed.log) as _));
    let archive = Arc::new(FaultyArchive::new(Arc::clone(&bed.archive)));
    bed.start_on(Ports { log: Arc::clone(&log) as _, ..bed.ports(Arc::clone(&archive) as _) });
    for (id, answer) in &left {
        bed.wait_for_rank(*id, Rank::Complete).await;
        assert_eq!(bed.archive.get(*id).await.unwrap().unwrap().0.integrity, Integrity::Whole);
        assert!(body(&bed.archive, *id, Leg::ClientResponse).await == answer);
    }
    bed.stop().await;
    let message = 2 * PART_BYTES as u64;
    assert!(log.most_held() <= PAGE + message, "{} bytes of messages were held", log.most_held());
    let committing = archive.most_committing();
    assert_eq!(committing, (LONG + REQUEST.len()) as u64, "a long body shares the recorder's memory");
}

#[tokio::test]
async fn bodies_of_batches_under_way_are_no_more_than_all_may_have() {
    let mut bed = Bed::new().await;
    bed.config.batch_bytes = BATCHES;
    let mut left = Vec::new();
    for seed in 0..24 {
        left.push(leave(&bed, &noise(seed, 700_000)).await);
    }
    let archive = Arc::new(FaultyArchive::new(Arc::clone(&bed.archive)));
    bed.start_with(Arc::clone(&archive) as _);
    for id in left {
        bed.wait_for_rank(id, Rank::Complete).await;
    }
    bed.stop().await;
    let committing = archive.most_committing();
    assert!((700_000..=BATCHES).contains(&committing), "{committing} bytes were being committed at once");
}

#[tokio::test]
async fn open_exchanges_longer_than_any_batch_are_settled_alone_and_their_neighbours_with_them() {
    const LONG: usize = 9 << 20;
    let mut bed = Bed::new().await;
    bed.config.batch_bytes = BATCHES;
    let mut left = Vec::new();
    for (seed, length) in [(1, 1_500_000), (2, LONG), (3, 1_500_000), (4, LONG)] {
        let (id, answer) = (ExchangeId::mint(), noise(seed, length));
        bed.append(start(id, REQUEST)).await;
        leave_parts(&bed, id, split(Leg::ClientResponse, 0, &answer, &[], PART_BYTES)).await;
        left.push((id, answer));
    }
    let archive = Arc::new(FaultyArchive::new(Arc::clone(&bed.archive)));
    bed.start_with(Arc::clone(&archive) as _);
    for (id, answer) in &left {
        bed.wait_for_rank(*id, Rank::Incomplete).await;
        assert!(body(&bed.archive, *id, Leg::ClientResponse).await == answer);
    }
    bed.stop().await;
    assert_eq!(archive.most_committing(), (LONG + REQUEST.len()) as u64);
}
