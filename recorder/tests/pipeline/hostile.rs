//! What anybody may send, and the recorder has to archive.

use bytes::Bytes;
use verbatim_core::model::{ExchangeId, Integrity, Leg, Rank};
use verbatim_proto::v1::End;
use verbatim_proto::{delta_encode, piece};

use crate::body;
use crate::support::{ANSWER, Bed, end_with, plain_end, start, summary};

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
