//! Memory stays bounded whatever passes.

use verbatim_core::model::Outcome;
use verbatim_mock_provider::Digest;
use verbatim_testkit::resident_memory;

use crate::support::{After, Connection, Rig, head, post, soon, until};

/// Megabytes that this process holds in memory now.
fn resident() -> u64 {
    resident_memory(std::process::id()).unwrap() >> 20
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_bodies_of_twenty_megabytes_pass_at_once() {
    let rig = Rig::start().await;
    let body: bytes::Bytes = (0..20_000_000u32).map(|index| (index % 251) as u8).collect::<Vec<_>>().into();
    let mut calls = tokio::task::JoinSet::new();
    for index in 0..20 {
        let (address, body) = (rig.address, body.clone());
        calls.spawn(async move {
            let id = format!("big{index}");
            let headers = [("x-mock-id", id.as_str()), ("content-type", "application/octet-stream")];
            let answer = post(address, "/plain/raw/20000000", &headers, &body).await;
            assert_eq!((answer.status, answer.after, answer.body.len()), (200, After::Whole, 20_000_000));
            (id, Digest::of(&answer.body))
        });
    }
    let sent = Digest::of(&body);
    // Much of it is the hashing of two gigabytes by three parties, without optimisation.
    let patience = std::time::Duration::from_secs(200);
    while let Some(call) = tokio::time::timeout(patience, calls.join_next()).await.unwrap() {
        let (id, received) = call.unwrap();
        let entry = rig.mock.ledger().wait_for_id(&id).await;
        assert_eq!((entry.request.blake3, entry.response.blake3), (sent, received));
    }
    until(|| rig.health.snapshot().unpublished == 0).await;
    assert!(rig.health.snapshot().unrecorded == 0);
    let mut lost = 0;
    for record in rig.records(20).await {
        assert_eq!(record.outcome(), Outcome::Completed);
        assert_eq!(record.lost() + (record.request.len() + record.response.len()) as u64, 40_000_000);
        lost += record.lost();
    }
    // A call waits for its recording for a second at most: on a machine that does much else some may be lost, and is told.
    assert_eq!(rig.health.snapshot().lost_bytes, lost);
}

#[tokio::test]
async fn a_caller_that_reads_nothing_stops_the_provider() {
    let rig = Rig::start().await;
    let before = resident();
    let mut connection = Connection::open(rig.address).await;
    let directives = [("x-mock-id", "slow")];
    connection.send(head("GET", "/plain/raw/300000000", &directives, None)).await;
    connection.head().await.unwrap();
    soon(rig.mock.ledger().wait_for_begun(1)).await;
    // Sockets' buffers fill; then nothing more is taken from the provider.
    let (mut last, mut alike) = (u64::MAX, 0);
    soon(async {
        while last == 0 || alike < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            let now = rig.health.snapshot().queue_bytes + rig.log.faulty.written();
            alike = if now == last { alike + 1 } else { 1 };
            last = now;
        }
    })
    .await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 100, "grew by {grown} MB for an answer that nobody reads");
    drop(connection);
    let entry = soon(rig.mock.ledger().wait_for_id("slow")).await;
    assert!(entry.response.bytes < 100_000_000, "{}", entry.response.bytes);
    assert_eq!(rig.record().await.outcome(), Outcome::ClientAborted);
}

#[tokio::test]
async fn a_caller_that_reads_nothing_for_too_long_is_let_go() {
    let rig = Rig::with(|config| config.timeouts.idle = std::time::Duration::from_millis(300)).await;
    let mut connection = Connection::open(rig.address).await;
    connection.send(head("GET", "/plain/raw/300000000", &[("x-mock-id", "slow")], None)).await;
    connection.head().await.unwrap();
    soon(rig.mock.ledger().wait_for_id("slow")).await;
    let record = rig.record().await;
    assert!(matches!(record.outcome(), Outcome::ClientAborted | Outcome::TimedOut));
}
