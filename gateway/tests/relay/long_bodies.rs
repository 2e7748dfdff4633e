//! Bodies longer than what is recorded of one.

use verbatim_core::model::{Leg, Outcome};
use verbatim_gateway::CaptureMode;

use crate::support::{Rig, get, post};

const LIMIT: usize = 1 << 20;

#[tokio::test]
async fn a_body_beyond_the_limit_passes_whole_and_its_record_says_what_is_not_in_it() {
    for capture in [CaptureMode::BestEffort, CaptureMode::Required] {
        let rig = Rig::with(|config| {
            config.max_recorded_body_bytes = LIMIT as u64;
            config.capture = capture;
        })
        .await;
        let sent: Vec<u8> = (0..3_000_000_usize).map(|at| (at * 31 % 251) as u8).collect();
        let answer = post(rig.address, "/plain/raw/2500000", &[("x-mock-id", "long")], &sent).await;
        assert_eq!(answer.body.len(), 2_500_000);
        let entry = rig.mock.ledger().wait_for_id("long").await;
        let forwarded = (entry.request.bytes, entry.request_complete);
        assert_eq!(forwarded, (sent.len() as u64, true), "all of it was forwarded");
        let record = rig.record().await;
        assert_eq!(record.outcome(), Outcome::Completed);
        assert_eq!(record.request, sent[..LIMIT]);
        assert_eq!(record.response, answer.body[..LIMIT]);
        for (leg, length) in [(Leg::ClientRequest, sent.len()), (Leg::ClientResponse, answer.body.len())] {
            let summary = record.leg(leg);
            assert_eq!((summary.length, summary.lost), (length as u64, (length - LIMIT) as u64));
            assert!(summary.hash.is_empty(), "nobody hashed what was not recorded");
        }
        assert!(
            record.end.notes[0].contains("1951424 bytes behind the first 1048576"),
            "{:?}",
            record.end.notes
        );
        assert!(
            record.end.notes[1].contains("the answer's body went on for 1451424"),
            "{:?}",
            record.end.notes
        );
        assert_eq!(rig.health.snapshot().lost_bytes, 0, "a limit that somebody set is no fault");
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_whole() {
    let rig = Rig::with(|config| config.max_recorded_body_bytes = LIMIT as u64).await;
    let answer = get(rig.address, "/plain/raw/1048576", &[]).await;
    let record = rig.record().await;
    assert_eq!((record.response.as_ref(), record.end.notes.len()), (answer.body.as_slice(), 0));
    assert_eq!(record.leg(Leg::ClientResponse).hash.len(), 32);
}
