//! What the recorder promises, message by message.

mod faults;
mod hostile;
mod memory;
mod open;
mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use support::{ANSWER, Bed, GATEWAY, REQUEST, end, end_with, part, plain_end, start, summary, wait_until};
use verbatim_core::model::{ExchangeId, Integrity, Leg, Outcome, Provenance, Rank};
use verbatim_core::ports::{Archive, CaptureLog, Message, MessageKind};
use verbatim_proto::v1::{End, LegSummary, envelope};
use verbatim_proto::{decode, delta_encode, piece};
use verbatim_recorder::Ports;
use verbatim_testkit::FaultyLog;

async fn body(archive: &Arc<dyn Archive>, id: ExchangeId, leg: Leg) -> Bytes {
    archive.body(id, leg).await.expect("a readable archive").map(|body| body.bytes).unwrap_or_default()
}

#[tokio::test]
async fn a_short_exchange_is_archived_whole_and_purged_from_the_log() {
    let mut bed = Bed::new().await;
    let id = ExchangeId::mint();
    let first = bed.append(start(id, REQUEST)).await;
    bed.append(end(id, &[first], true)).await;
    bed.start();
    bed.wait_for_rank(id, Rank::Complete).await;
    let (exchange, heads) = bed.archive.get(id).await.unwrap().unwrap();
    assert_eq!((exchange.outcome, exchange.integrity), (Outcome::Completed, Integrity::Whole));
    assert_eq!(exchange.model_served.as_deref(), Some("gpt-4o-mini"));
    assert_eq!(
        (exchange.usage.input_tokens, exchange.usage.provenance),
        (Some(9), Some(Provenance::Provider))
    );
    assert_eq!((exchange.asked_preview.as_str(), exchange.answered_preview.as_str()), ("Hello", "Hi there"));
    assert!(exchange.cost_micros.is_some());
    assert_eq!(heads.legs.len(), 2);
    assert_eq!(body(&bed.archive, id, Leg::ClientRequest).await, REQUEST);
    assert_eq!(body(&bed.archive, id, Leg::ClientResponse).await, ANSWER);
    wait_until(async || bed.log.messages().is_empty()).await;
    bed.stop().await;
}

#[tokio::test]
async fn an_exchange_that_is_one_message_is_archived_whole() {
    let mut bed = Bed::new().await;
    let id = ExchangeId::mint();
    let envelope::Message::Start(first) = decode(start(id, REQUEST).payload).unwrap().message else {
        panic!("a start")
    };
    let answer = piece(Leg::ClientResponse, 0, Bytes::from_static(ANSWER.as_bytes()), &[]);
    bed.append(end_with(id, End { start: Some(Box::new(first)), pieces: vec![answer], ..plain_end() })).await;
    bed.start();
    bed.wait_for_rank(id, Rank::Complete).await;
    let (exchange, _) = bed.archive.get(id).await.unwrap().unwrap();
    assert_eq!((exchange.outcome, exchange.integrity), (Outcome::Completed, Integrity::Whole));
    assert_eq!((exchange.method.as_str(), exchange.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(body(&bed.archive, id, Leg::ClientRequest).await, REQUEST);
    assert_eq!(body(&bed.archive, id, Leg::ClientResponse).await, ANSWER);
    wait_until(async || bed.log.messages().is_empty()).await;
    bed.stop().await;
}

#[tokio::test]
async fn parts_out_of_order_and_twice_give_the_same_record() {
    let mut bed = Bed::new().await;
    let id = ExchangeId::mint();
    let mut sequences = vec![bed.append(start(id, REQUEST)).await];
    for (from, to) in [(100, ANSWER.len()), (0, 60), (60, 100), (0, 60)] {
        sequences.push(bed.append(part(id, from, &ANSWER[from..to])).await);
    }
    bed.append(end(id, &sequences, false)).await;
    bed.append(end(id, &sequences, false)).await;
    bed.start();
    bed.wait_for_rank(id, Rank::Complete).await;
    assert_eq!(body(&bed.archive, id, Leg::ClientResponse).await, ANSWER);
    let timeline = bed.archive.body(id, Leg::ClientResponse).await.unwrap().unwrap().timeline;
    assert_eq!(timeline.chunks.iter().map(|chunk| chunk.offset).collect::<Vec<_>>(), [0, 60, 100]);
    wait_until(async || bed.log.messages().is_empty()).await;
    bed.stop().await;
}

#[tokio::test]
async fn garbage_goes_to_the_dead_letters_and_harms_no_neighbour() {
    let mut bed = Bed::new().await;
    let (bad, good) = (ExchangeId::mint(), ExchangeId::mint());
    bed.append(Message {
        kind: MessageKind::End,
        gateway: GATEWAY.to_owned(),
        exchange: bad,
        payload: Bytes::from_static(b"\xff\xff not an envelope"),
    })
    .await;
    let first = bed.append(start(good, REQUEST)).await;
    bed.append(end(good, &[first], true)).await;
    bed.start();
    bed.wait_for_rank(good, Rank::Complete).await;
    wait_until(async || bed.log.dead_letters().len() == 1).await;
    assert!(bed.log.dead_letters()[0].reason.contains("not a capture message"));
    wait_until(async || bed.log.messages().is_empty()).await;
    bed.stop().await;
}

#[tokio::test]
async fn a_dead_letter_that_can_not_be_stored_now_is_tried_again_and_harms_no_neighbour() {
    let mut bed = Bed::new().await;
    let (bad, good) = (ExchangeId::mint(), ExchangeId::mint());
    bed.append(Message {
        kind: MessageKind::End,
        gateway: GATEWAY.to_owned(),
        exchange: bad,
        payload: Bytes::from_static(b"\xff\xff not an envelope"),
    })
    .await;
    let first = bed.append(start(good, REQUEST)).await;
    bed.append(end(good, &[first], true)).await;
    let log = Arc::new(FaultyLog::new(Arc::clone(&bed.log) as _));
    log.fail_dead_letters(2);
    let archive = Arc::clone(&bed.archive);
    bed.start_on(Ports { log, ..bed.ports(archive) });
    bed.wait_for_rank(good, Rank::Complete).await;
    wait_until(async || bed.log.messages().is_empty()).await;
    assert_eq!(bed.log.dead_letters().len(), 1);
    bed.stop().await;
}

#[tokio::test]
async fn bytes_that_do_not_match_their_hash_are_archived_as_damaged_and_kept_as_dead_letter() {
    let mut bed = Bed::new().await;
    let id = ExchangeId::mint();
    let first = bed.append(start(id, REQUEST)).await;
    let wrong = LegSummary { hash: vec![7; 32], ..summary(Leg::ClientRequest, REQUEST) };
    bed.append(end_with(id, End { sequences: delta_encode([first]), legs: vec![wrong], ..plain_end() }))
        .await;
    bed.start();
    bed.wait_for_rank(id, Rank::Damaged).await;
    let (exchange, heads) = bed.archive.get(id).await.unwrap().unwrap();
    assert_eq!(exchange.integrity, Integrity::Damaged);
    assert!(heads.notes.iter().any(|note| note.contains("do not match their hash")), "{:?}", heads.notes);
    assert_eq!(body(&bed.archive, id, Leg::ClientRequest).await, REQUEST);
    assert_eq!(bed.log.dead_letters().len(), 1);
    bed.stop().await;
}

#[tokio::test]
async fn a_piece_that_is_nowhere_makes_the_exchange_damaged_after_some_tries() {
    let mut bed = Bed::new().await;
    let id = ExchangeId::mint();
    let first = bed.append(start(id, REQUEST)).await;
    let second = bed.append(part(id, 0, &ANSWER[..50])).await;
    bed.append(end(id, &[first, second, second + 1000], false)).await;
    bed.start();
    bed.wait_for_rank(id, Rank::Damaged).await;
    assert_eq!(body(&bed.archive, id, Leg::ClientResponse).await, ANSWER[..50]);
    bed.stop().await;
}

#[tokio::test]
async fn declared_losses_are_partial_and_counted() {
    let mut bed = Bed::new().await;
    let id = ExchangeId::mint();
    let first = bed.append(start(id, REQUEST)).await;
    let second = bed.append(part(id, 0, &ANSWER[..50])).await;
    let lost = ANSWER.len() as u64 - 50;
    let cut = LegSummary { hash: Vec::new(), lost, ..summary(Leg::ClientResponse, ANSWER) };
    let legs = vec![summary(Leg::ClientRequest, REQUEST), cut];
    bed.append(end_with(id, End { sequences: delta_encode([first, second]), legs, ..plain_end() })).await;
    bed.start();
    bed.wait_for_rank(id, Rank::Complete).await;
    let (exchange, _) = bed.archive.get(id).await.unwrap().unwrap();
    assert_eq!((exchange.integrity, exchange.lost_bytes), (Integrity::Partial, lost));
    assert!(bed.log.dead_letters().is_empty());
    bed.stop().await;
}

#[tokio::test]
async fn an_error_inside_a_stream_of_status_200_is_an_upstream_error() {
    const STREAM: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n";
    let mut bed = Bed::new().await;
    let id = ExchangeId::mint();
    let first = bed.append(start(id, REQUEST)).await;
    let second = bed.append(part(id, 0, STREAM)).await;
    let head = verbatim_proto::v1::Head {
        leg: u32::from(Leg::ClientResponse.number()),
        version: "HTTP/1.1".into(),
        status: Some(200),
        headers: vec![verbatim_proto::v1::Header {
            name: "content-type".into(),
            value: Bytes::from_static(b"text/event-stream"),
        }],
        at_us: 900,
    };
    let legs = vec![summary(Leg::ClientRequest, REQUEST), summary(Leg::ClientResponse, STREAM)];
    let ended = End { sequences: delta_encode([first, second]), legs, heads: vec![head], ..plain_end() };
    bed.append(end_with(id, ended)).await;
    bed.start();
    bed.wait_for_rank(id, Rank::Complete).await;
    let (exchange, _) = bed.archive.get(id).await.unwrap().unwrap();
    assert_eq!(exchange.outcome, Outcome::UpstreamError);
    assert!(exchange.error.unwrap().contains("overloaded"));
    assert!(exchange.streamed);
    bed.stop().await;
}

#[tokio::test]
async fn a_body_with_credentials_hidden_is_held_to_the_hash_of_what_is_recorded() {
    const RECORDED: &str = r#"{"id":"s1","client_secret":{"value":"redact"}}"#;
    const PASSED: &str = r#"{"id":"s1","client_secret":{"value":"secret"}}"#;
    let hash = |text: &str| *blake3::hash(text.as_bytes()).as_bytes();
    for (stored, integrity) in [(RECORDED, Integrity::Whole), (PASSED, Integrity::Damaged)] {
        let mut bed = Bed::new().await;
        let id = ExchangeId::mint();
        let first = bed.append(start(id, REQUEST)).await;
        let second = bed.append(part(id, 0, RECORDED)).await;
        let stored_hash = hash(stored).to_vec();
        let answer = LegSummary { stored_hash, ..summary(Leg::ClientResponse, PASSED) };
        let legs = vec![summary(Leg::ClientRequest, REQUEST), answer];
        let sequences = delta_encode([first, second]);
        bed.append(end_with(id, End { sequences, legs, pieces: Vec::new(), ..plain_end() })).await;
        bed.start();
        wait_until(async || {
            bed.archive.get(id).await.unwrap().is_some_and(|(it, _)| it.integrity == integrity)
        })
        .await;
        let (_, heads) = bed.archive.get(id).await.unwrap().unwrap();
        let info = heads.legs.iter().find(|info| info.leg == Leg::ClientResponse).unwrap();
        assert_eq!((info.hash, info.stored_hash), (Some(hash(PASSED)), Some(hash(RECORDED))));
        assert_eq!(body(&bed.archive, id, Leg::ClientResponse).await, RECORDED);
        bed.stop().await;
    }
}

#[tokio::test]
async fn stopping_empties_the_log_but_for_what_is_not_archived_however_young() {
    let mut bed = Bed::new().await;
    bed.config.hold = Duration::from_secs(3600);
    bed.log.heartbeat(GATEWAY).await.expect("a log in memory");
    for _ in 0..1500 {
        let id = ExchangeId::mint();
        let first = bed.append(start(id, REQUEST)).await;
        bed.append(end(id, &[first], true)).await;
    }
    let open = ExchangeId::mint();
    bed.append(start(open, REQUEST)).await;
    bed.start();
    bed.stop().await;
    let left: Vec<_> = bed.log.messages().into_iter().map(|(_, message)| message.exchange).collect();
    assert_eq!(left, [open]);
}

#[tokio::test]
async fn stopping_archives_what_is_in_the_log_first() {
    let mut bed = Bed::new().await;
    let mut ids = Vec::new();
    for _ in 0..600 {
        let id = ExchangeId::mint();
        let first = bed.append(start(id, REQUEST)).await;
        bed.append(end(id, &[first], true)).await;
        ids.push(id);
    }
    bed.start();
    bed.stop().await;
    let ranks = bed.archive.ranks(&ids).await.unwrap();
    assert!(ranks.iter().all(|rank| *rank == Some(Rank::Complete)));
}
