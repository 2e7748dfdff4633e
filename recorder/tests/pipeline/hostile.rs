//! What anybody may send, and the recorder has to archive.

use std::sync::Arc;

use bytes::Bytes;
use verbatim_core::model::{ExchangeId, Integrity, Leg, Rank};
use verbatim_core::ports::Message;
use verbatim_proto::v1::{End, LegSummary, Part, envelope};
use verbatim_proto::{delta_encode, encode, piece};
use verbatim_recorder::Ports;
use verbatim_testkit::FaultyLog;

use crate::body;
use crate::support::{
    ANSWER, Bed, GATEWAY, REQUEST, end, end_with, part, plain_end, start, summary, wait_until,
};

#[tokio::test]
async fn texts_in_any_script_are_archived_and_the_recorder_goes_on() {
    let mut bed = Bed::new().await;
    // An address of data, 300 characters of two bytes each behind an odd number of others.
    let url = format!("data:{}", "é".repeat(300));
    let request: &'static str = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]}}"#
    )
    .leak();
    let id = ExchangeId::mint();
    let first = bed.append(start(id, request)).await;
    let legs = vec![summary(Leg::ClientRequest, request), summary(Leg::ClientResponse, ANSWER)];
    let answer = piece(Leg::ClientResponse, 0, Bytes::from_static(ANSWER.as_bytes()), &[]);
    let sequences = delta_encode([first]);
    bed.append(end_with(id, End { sequences, legs, pieces: vec![answer], ..plain_end() })).await;
    bed.start();
    bed.wait_for_rank(id, Rank::Complete).await;
    let (exchange, heads) = bed.archive.get(id).await.unwrap().unwrap();
    assert_eq!((exchange.integrity, exchange.asked_preview.as_str()), (Integrity::Whole, "[image]"));
    assert_eq!(heads.notes, Vec::<String>::new());
    assert_eq!(body(&bed.archive, id, Leg::ClientRequest).await, request);
    bed.stop().await;
}

#[tokio::test]
async fn an_end_that_names_more_than_a_gateway_ever_does_is_a_dead_letter_and_harms_no_neighbour() {
    let mut bed = Bed::new().await;
    let (bad, good) = (ExchangeId::mint(), ExchangeId::mint());
    let bomb = end_with(bad, End { sequences: vec![0; 16_500_000], ..plain_end() });
    assert!(bomb.payload.len() < 1024, "it is small: {} bytes", bomb.payload.len());
    bed.append(bomb).await;
    let first = bed.append(start(good, REQUEST)).await;
    bed.append(end(good, &[first], true)).await;
    bed.start();
    bed.wait_for_rank(good, Rank::Complete).await;
    wait_until(async || bed.log.dead_letters().len() == 1).await;
    assert!(bed.log.dead_letters()[0].reason.contains("names more than 32768 messages"));
    wait_until(async || bed.log.messages().is_empty()).await;
    bed.stop().await;
}

#[tokio::test]
async fn zeros_and_repeats_among_what_an_end_names_are_passed_over() {
    let mut bed = Bed::new().await;
    let id = ExchangeId::mint();
    let first = bed.append(start(id, REQUEST)).await;
    let manifest =
        envelope::Message::Part(Part { sequences: delta_encode([0, first, first]), ..Part::default() });
    let manifest = Message { payload: encode(id, GATEWAY, manifest), ..part(id, 0, "") };
    let manifest = bed.append(manifest).await;
    let mut sequences = vec![0; 30_000];
    sequences.extend([first; 2_000]);
    let answer = piece(Leg::ClientResponse, 0, Bytes::from_static(ANSWER.as_bytes()), &[]);
    let (sequences, manifests) = (delta_encode(sequences), delta_encode([0, manifest, manifest]));
    bed.append(end_with(id, End { sequences, manifests, pieces: vec![answer], ..plain_end() })).await;
    let log = Arc::new(FaultyLog::new(Arc::clone(&bed.log) as _));
    bed.start_on(Ports { log: Arc::clone(&log) as _, ..bed.ports(Arc::clone(&bed.archive)) });
    bed.wait_for_rank(id, Rank::Complete).await;
    assert_eq!(bed.archive.get(id).await.unwrap().unwrap().0.integrity, Integrity::Whole);
    // The start twice, for the end and for its manifest, which is one more; who tells how old the oldest end is may look
    // at it once.
    assert!((3..=4).contains(&log.places_read()), "{} places were read", log.places_read());
    bed.stop().await;
}

#[tokio::test]
async fn of_an_exchange_that_has_more_bytes_than_its_end_says_not_all_is_read() {
    const PART: usize = 64 * 1024;
    let mut bed = Bed::new().await;
    let id = ExchangeId::mint();
    let text: &'static str = "x".repeat(PART).leak();
    let mut sequences = vec![bed.append(start(id, REQUEST)).await];
    for at in 0..64 {
        sequences.push(bed.append(part(id, at * PART, text)).await);
    }
    let legs = vec![summary(Leg::ClientRequest, REQUEST), summary(Leg::ClientResponse, "")];
    bed.append(end_with(id, End { sequences: delta_encode(sequences), legs, ..plain_end() })).await;
    bed.start();
    bed.wait_for_rank(id, Rank::Damaged).await;
    let (_, heads) = bed.archive.get(id).await.unwrap().unwrap();
    let beyond = heads.notes.iter().find(|note| note.contains("bytes beyond its end of 0 bytes")).unwrap();
    let bytes = beyond.split(' ').find_map(|word| word.parse::<usize>().ok()).unwrap();
    assert!((PART..=10 * PART).contains(&bytes), "{beyond}");
    bed.stop().await;
}

#[tokio::test]
async fn lengths_and_losses_beyond_all_numbers_are_archived_and_the_recorder_goes_on() {
    let mut bed = Bed::new().await;
    let (bad, good) = (ExchangeId::mint(), ExchangeId::mint());
    let first = bed.append(start(bad, REQUEST)).await;
    let vast = |leg| LegSummary { length: u64::MAX, lost: u64::MAX, hash: Vec::new(), ..summary(leg, "") };
    let legs = vec![vast(Leg::ClientRequest), vast(Leg::ClientResponse)];
    bed.append(end_with(bad, End { sequences: delta_encode([first]), legs, ..plain_end() })).await;
    let first = bed.append(start(good, REQUEST)).await;
    bed.append(end(good, &[first], true)).await;
    bed.start();
    bed.wait_for_rank(good, Rank::Complete).await;
    bed.wait_for_rank(bad, Rank::Complete).await;
    assert_eq!(bed.archive.get(bad).await.unwrap().unwrap().0.integrity, Integrity::Partial);
    bed.stop().await;
}
