//! A capture log that fails, stalls, slows down and recovers: callers notice nothing, and nothing is lost in
//! silence.

use std::time::Duration;

use verbatim_core::model::Outcome;
use verbatim_gateway::GatewayError;
use verbatim_testkit::Fault;

use crate::support::{After, Rig, TestLog, get, post, records, until};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;

async fn calls(rig: &Rig, count: usize) {
    for _ in 0..count {
        let answer = post(rig.address, "/v1/chat/completions", &[], CHAT.as_bytes()).await;
        assert_eq!((answer.status, answer.after), (200, After::Whole));
    }
}

#[tokio::test]
async fn without_a_spool_records_wait_in_memory_until_the_log_is_back() {
    for fault in [Fault::Fail, Fault::Stall, Fault::LoseAnswer] {
        let rig = Rig::with(|config| config.timeouts.acknowledge = Duration::from_millis(100)).await;
        rig.log.faulty.set(fault);
        calls(&rig, 20).await;
        until(|| rig.health.snapshot().unpublished == 20 && !rig.health.snapshot().log_up).await;
        rig.log.faulty.recover();
        until(|| {
            records(&rig.log.memory)
                .iter()
                .map(|record| record.id)
                .collect::<std::collections::HashSet<_>>()
                .len()
                == 20
        })
        .await;
        until(|| rig.health.snapshot().unpublished == 0).await;
        let health = rig.health.snapshot();
        assert_eq!((health.lost_bytes, health.unrecorded, health.queue_bytes), (0, 0, 0), "{fault:?}");
        assert!(records(&rig.log.memory).iter().all(|record| record.outcome() == Outcome::Completed));
    }
}

#[tokio::test]
async fn single_messages_that_fail_are_sent_again() {
    let rig = Rig::start().await;
    for round in 0..10 {
        rig.log.faulty.set_for_calls(Fault::Fail, 1 + round % 3);
        calls(&rig, 3).await;
    }
    rig.records(30).await;
}

#[tokio::test]
async fn a_slow_log_slows_no_call() {
    let rig = Rig::start().await;
    rig.log.faulty.set(Fault::Slow(Duration::from_millis(500)));
    let began = std::time::Instant::now();
    calls(&rig, 20).await;
    assert!(began.elapsed() < Duration::from_secs(5), "20 calls took {:?}", began.elapsed());
    rig.records(20).await;
}

#[tokio::test]
async fn when_nothing_takes_records_calls_succeed_and_losses_are_counted_to_the_byte() {
    let rig = Rig::with(|config| {
        config.queue.total = 1 << 20;
        config.queue.exchange = 1 << 20;
    })
    .await;
    rig.log.faulty.cut_off();
    let mut sent = 0;
    for size in [100_000, 700_000, 300_000, 900_000, 10_000] {
        let answer = get(rig.address, &format!("/plain/raw/{size}"), &[]).await;
        assert_eq!((answer.body.len(), answer.after), (size, After::Whole));
        sent += size as u64;
    }
    // The queue is full; now even starts find no room at some point.
    let mut more = 0;
    while rig.health.snapshot().unrecorded < 5 {
        assert_eq!(get(rig.address, "/plain/raw/1000", &[]).await.body.len(), 1000);
        more += 1;
        assert!(more < 2000, "the queue is bounded");
    }
    rig.log.faulty.recover();
    let expected = 5 + more - 5;
    until(|| records(&rig.log.memory).len() == expected).await;
    let found = records(&rig.log.memory);
    let kept: u64 = found.iter().map(|record| record.response.len() as u64).sum();
    let lost: u64 = found.iter().map(super::support::Record::lost).sum();
    assert_eq!(
        kept + lost,
        sent + (more as u64 - 5) * 1000,
        "every byte of a recorded call is kept or declared lost"
    );
    assert!(lost > 0);
    let health = rig.health.snapshot();
    assert_eq!((health.lost_bytes, health.unrecorded), (lost, 5));
    for record in &found {
        assert_eq!(record.outcome(), Outcome::Completed);
    }
}

#[tokio::test]
async fn a_message_that_the_log_will_never_take_is_counted_and_the_rest_goes_on() {
    let rig = Rig::start().await;
    rig.log.faulty.set_for_calls(Fault::Refuse, 1);
    calls(&rig, 1).await;
    until(|| rig.health.snapshot().unrecorded == 1).await;
    calls(&rig, 1).await;
    rig.record().await;
}

#[tokio::test]
async fn parts_that_are_refused_for_good_are_declared_lost() {
    let rig = Rig::start().await;
    rig.log
        .faulty
        .set_for_messages(Fault::Refuse, |message| message.kind == verbatim_core::ports::MessageKind::Part);
    let answer = get(rig.address, "/plain/raw/1500000", &[]).await;
    assert_eq!(answer.body.len(), 1_500_000);
    let record = rig.record().await;
    assert!(record.lost() > 0);
    assert_eq!(record.lost() + record.response.len() as u64, 1_500_000);
    assert_eq!(rig.health.snapshot().lost_bytes, record.lost());
}

#[tokio::test]
async fn a_long_body_is_slowed_down_a_little_before_anything_of_it_is_lost() {
    let rig = Rig::over(TestLog::new(), None, |config| config.queue.exchange = 8 << 20).await;
    // Slower than the provider, and faster than a second for the whole.
    rig.log.faulty.set(Fault::Slow(Duration::from_millis(40)));
    let answer = get(rig.address, "/plain/raw/20000000", &[]).await;
    assert_eq!(answer.body.len(), 20_000_000);
    let record = rig.record().await;
    assert_eq!(record.lost(), 0);
    assert_eq!(record.response.len(), 20_000_000);
}

#[tokio::test]
async fn a_publisher_that_panics_ends_the_gateway_and_what_it_held_is_counted() {
    let mut rig = Rig::start().await;
    rig.log.faulty.set_for_messages(Fault::Fail, |_| panic!("a fault that the test asked for"));
    calls(&rig, 1).await;
    let ended = rig.ended().await;
    assert!(matches!(ended, Err(GatewayError::Panicked("publisher"))), "{ended:?}");
    let health = rig.health.snapshot();
    assert_eq!((health.unrecorded, health.queue_bytes, health.in_flight), (1, 0, 0));
}

#[tokio::test]
async fn a_replayer_that_panics_ends_the_gateway_and_its_spool_stays() {
    let mut rig = Rig::over(TestLog::new(), Some(TestLog::new()), |config| {
        config.timeouts.acknowledge = Duration::from_millis(200);
    })
    .await;
    rig.log.faulty.cut_off();
    let spool = rig.spool.as_ref().unwrap();
    spool.faulty.set_for_messages(Fault::Fail, |message| {
        assert!(message.gateway != "spool-progress", "a fault that the test asked for");
        false
    });
    calls(&rig, 1).await;
    let ended = rig.ended().await;
    assert!(matches!(ended, Err(GatewayError::Panicked("replayer of the spool"))), "{ended:?}");
    let health = rig.health.snapshot();
    assert_eq!((health.unrecorded, health.lost_bytes, health.spooled), (0, 0, 1));
}
