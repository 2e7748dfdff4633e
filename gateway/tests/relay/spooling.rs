//! The disk between the gateway and a log that can't take messages.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use verbatim_core::model::Outcome;
use verbatim_core::ports::{CaptureLog, Liveness, Message, MessageKind};
use verbatim_testkit::{Fault, MemoryLog};

use crate::support::{After, Connection, Record, Rig, TestLog, get, head, post, records, soon, until};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;

async fn rig() -> Rig {
    Rig::over(TestLog::new(), Some(TestLog::new()), |config| {
        config.timeouts.acknowledge = Duration::from_millis(200);
    })
    .await
}

fn spooled(rig: &Rig) -> u64 {
    rig.health.snapshot().spooled
}

/// The records by exchange: a lost answer or a repeated replay may leave more than one end, all the same.
fn distinct(rig: &Rig) -> Vec<Record> {
    let mut seen = HashSet::new();
    records(&rig.log.memory).into_iter().filter(|record| seen.insert(record.id)).collect()
}

async fn calls(rig: &Rig, count: usize) {
    for _ in 0..count {
        let answer = post(rig.address, "/v1/chat/completions", &[], CHAT.as_bytes()).await;
        assert_eq!((answer.status, answer.after), (200, After::Whole));
    }
}

/// Makes calls until the log takes messages again; gives how many were made, with those `made` before.
async fn calls_until_the_log_is_up(rig: &Rig, mut made: usize) -> usize {
    while !rig.health.snapshot().log_up {
        calls(rig, 1).await;
        made += 1;
        until(|| distinct(rig).len() == made).await;
    }
    made
}

#[tokio::test]
async fn what_the_log_does_not_take_is_spooled_and_replayed_once_it_is_back() {
    for fault in [Fault::Fail, Fault::Stall, Fault::LoseAnswer] {
        let rig = rig().await;
        rig.log.faulty.set(fault);
        calls(&rig, 30).await;
        until(|| spooled(&rig) == 30).await;
        assert_eq!(rig.health.snapshot().queue_bytes, 0, "what is on disk needs no memory");
        assert!(rig.health.snapshot().spool_bytes > 0);
        rig.log.faulty.recover();
        until(|| distinct(&rig).len() == 30 && spooled(&rig) == 0).await;
        for record in distinct(&rig) {
            assert_eq!(record.outcome(), Outcome::Completed);
            assert_eq!(record.request, CHAT.as_bytes());
        }
        // What was replayed leaves the spool.
        until(|| rig.health.snapshot().spool_bytes == 0).await;
        assert!(rig.spool.as_ref().unwrap().memory.messages().is_empty());
        // And the log is used directly again.
        calls(&rig, 1).await;
        until(|| distinct(&rig).len() == 31).await;
        assert_eq!((rig.health.snapshot().lost_bytes, rig.health.snapshot().unrecorded), (0, 0));
    }
}

#[tokio::test]
async fn an_exchange_that_began_in_the_log_ends_whole_through_the_spool() {
    let rig = rig().await;
    let mut connection = Connection::open(rig.address).await;
    let headers = [("x-mock", "chunks=60; chunk-delay=20ms; flush"), ("x-mock-id", "s")];
    connection.send(head("POST", "/v1/chat/completions", &headers, Some(STREAM.len()))).await;
    connection.send(STREAM).await;
    // Start and a part are in the log; then the log goes away.
    until(|| rig.log.memory.messages().iter().any(|(_, message)| message.kind == MessageKind::Part)).await;
    rig.log.faulty.cut_off();
    let answer = connection.receive("POST").await;
    until(|| spooled(&rig) == 1).await;
    assert!(records(&rig.log.memory).is_empty());
    rig.log.faulty.recover();
    until(|| !records(&rig.log.memory).is_empty()).await;
    let record = rig.record().await;
    assert_eq!(record.outcome(), Outcome::Completed);
    assert_eq!(record.response, answer.body);
    assert!(record.parts >= 2);
}

#[tokio::test]
async fn what_the_log_held_before_is_still_named_when_a_replay_breaks_off() {
    let rig = rig().await;
    let mut connection = Connection::open(rig.address).await;
    let headers = [("x-mock", "size=6000000; chunks=60; chunk-delay=20ms; flush"), ("x-mock-id", "s")];
    connection.send(head("POST", "/v1/chat/completions", &headers, Some(STREAM.len()))).await;
    connection.send(STREAM).await;
    until(|| rig.log.memory.messages().iter().any(|(_, message)| message.kind == MessageKind::Part)).await;
    rig.log.faulty.cut_off();
    let answer = connection.receive("POST").await;
    until(|| spooled(&rig) == 1).await;
    // Each try sends some of it.
    rig.log.faulty.recover();
    for _ in 0..3 {
        let written = rig.log.faulty.written();
        until(|| rig.log.faulty.written() > written || spooled(&rig) == 0).await;
        rig.log.faulty.set_for_calls(Fault::Fail, 1);
    }
    rig.log.faulty.recover();
    let record = rig.record().await;
    assert_eq!(record.request, STREAM.as_bytes());
    assert_eq!(record.response, answer.body);
    assert_eq!(record.lost(), 0);
}

#[tokio::test]
async fn large_exchanges_are_replayed_whole() {
    let rig = rig().await;
    rig.log.faulty.cut_off();
    let answer = get(rig.address, "/plain/raw/9000000", &[]).await;
    assert_eq!(answer.after, After::Whole);
    until(|| spooled(&rig) == 1).await;
    // The log comes and goes while it is replayed.
    rig.log.faulty.recover();
    for _ in 0..5 {
        let written = rig.log.faulty.written();
        until(|| rig.log.faulty.written() > written || spooled(&rig) == 0).await;
        rig.log.faulty.set_for_calls(Fault::Fail, 1);
    }
    rig.log.faulty.recover();
    until(|| spooled(&rig) == 0).await;
    let record = rig.record().await;
    assert_eq!(record.response, answer.body);
    assert_eq!(record.lost(), 0);
}

#[tokio::test]
async fn a_spool_that_an_earlier_process_left_is_replayed_at_the_start() {
    let log = TestLog::new();
    let spool = TestLog::new();
    let (log_memory, spool_memory) = (Arc::clone(&log.memory), Arc::clone(&spool.memory));
    let mut first = Rig::over(log, Some(spool), |config| {
        config.timeouts.acknowledge = Duration::from_millis(200);
        config.timeouts.drain = Duration::from_millis(100);
    })
    .await;
    first.log.faulty.cut_off();
    calls(&first, 5).await;
    until(|| spooled(&first) == 5).await;
    // A sixth is under way when the process goes: its messages have no end.
    let mut connection = Connection::open(first.address).await;
    let headers = [("x-mock", "chunks=20; hang-after=8; flush")];
    connection.send(head("POST", "/v1/chat/completions", &headers, Some(STREAM.len()))).await;
    connection.send(STREAM).await;
    // Beside what is spooled there is how far its replay has come.
    let is_spooled = |message: &Message| message.kind == MessageKind::Part && message.gateway == "spool";
    until(|| spool_memory.messages().iter().any(|(_, message)| is_spooled(message))).await;
    // The process is gone without a word: only what is in log and spool is left.
    let (left_log, left_spool) = (copy(&log_memory).await, copy(&spool_memory).await);
    first.shutdown().await;

    let second = Rig::over(TestLog::over(left_log), Some(TestLog::over(left_spool)), |config| {
        config.gateway_id = "test-2".to_owned();
    })
    .await;
    until(|| distinct(&second).len() == 6 && spooled(&second) == 0).await;
    let found = distinct(&second);
    let incomplete: Vec<_> = found.iter().filter(|record| record.outcome() == Outcome::Incomplete).collect();
    assert_eq!(incomplete.len(), 1);
    assert_eq!(found.iter().filter(|record| record.outcome() == Outcome::Completed).count(), 5);
    assert!(second.spool.as_ref().unwrap().memory.messages().is_empty());
    // From now on the second process answers for them.
    let writers: HashSet<_> =
        second.log.memory.messages().into_iter().map(|(_, message)| message.gateway).collect();
    assert_eq!(writers, HashSet::from(["test-2".to_owned()]));
}

#[tokio::test]
async fn a_gateway_speaks_for_earlier_ones_while_their_exchanges_are_in_its_spool() {
    let alive =
        async |rig: &Rig, gateway: &str| rig.log.memory.liveness(gateway).await.unwrap() == Liveness::Alive;
    let (log, spool) = (TestLog::new(), TestLog::new());
    let (mut log_memory, mut spool_memory) = (Arc::clone(&log.memory), Arc::clone(&spool.memory));
    let mut rig = Rig::over(log, Some(spool), |config| {
        config.timeouts.acknowledge = Duration::from_millis(200);
    })
    .await;
    rig.log.faulty.set_for_messages(Fault::Fail, |_| true);
    calls(&rig, 3).await;
    until(|| spooled(&rig) == 3).await;
    let mut earlier = vec!["test-1"];
    // The second tries to replay them, and may have sent something; the third speaks for both.
    for name in ["test-2", "test-3"] {
        until(|| {
            let begun = |(_, message): (_, Message)| message.gateway == "spool-progress";
            name == "test-2" || spool_memory.messages().into_iter().any(begun)
        })
        .await;
        let (left_log, left_spool) = (copy(&log_memory).await, copy(&spool_memory).await);
        rig.shutdown().await;
        let (log, spool) = (TestLog::over(left_log), TestLog::over(left_spool));
        (log_memory, spool_memory) = (Arc::clone(&log.memory), Arc::clone(&spool.memory));
        log.faulty.set_for_messages(Fault::Fail, |_| true);
        rig = Rig::over(log, Some(spool), |config| config.gateway_id = name.to_owned()).await;
        soon(async {
            while !alive(&rig, name).await {
                tokio::task::yield_now().await;
            }
        })
        .await;
        for gateway in &earlier {
            assert!(alive(&rig, gateway).await, "{name} says nothing of {gateway}");
        }
        earlier.push(name);
    }
    rig.log.faulty.recover();
    until(|| distinct(&rig).len() == 3 && spooled(&rig) == 0).await;
}

#[tokio::test]
async fn an_exchange_that_was_taken_back_to_the_log_is_not_ended_by_a_later_process() {
    let (log, spool) = (TestLog::new(), TestLog::new());
    let (log_memory, spool_memory) = (Arc::clone(&log.memory), Arc::clone(&spool.memory));
    let mut first = Rig::over(log, Some(spool), |config| {
        config.timeouts.acknowledge = Duration::from_millis(200);
        config.timeouts.drain = Duration::from_millis(100);
        config.spool.max_bytes = 20_000;
    })
    .await;
    first.log.faulty.set_for_messages(Fault::Fail, |_| true);
    calls(&first, 1).await;
    until(|| spooled(&first) == 1).await;
    let stays = spool_memory.messages()[0].1.exchange;
    let mut connection = Connection::open(first.address).await;
    let headers = [("x-mock", "size=6000000; chunks=200; chunk-delay=20ms; flush")];
    connection.send(head("POST", "/v1/chat/completions", &headers, Some(STREAM.len()))).await;
    connection.send(STREAM).await;
    until(|| first.health.snapshot().spool_bytes >= 20_000).await;
    // The log takes the stream, and not the call that keeps the spool from being purged.
    first.log.faulty.set_for_messages(Fault::Fail, move |message| message.exchange == stays);
    let parts = |memory: &MemoryLog| {
        let is_part = |(_, message): &(u64, Message)| {
            message.kind == MessageKind::Part
                && message.exchange != stays
                && message.gateway != "spool-returned"
        };
        memory.messages().iter().filter(|message| is_part(message)).count()
    };
    until(|| parts(&log_memory) > parts(&spool_memory) + 1).await;
    let (left_log, left_spool) = (copy(&log_memory).await, copy(&spool_memory).await);
    first.shutdown().await;

    let second = Rig::over(TestLog::over(left_log), Some(TestLog::over(left_spool)), |config| {
        config.gateway_id = "test-2".to_owned();
    })
    .await;
    until(|| !records(&second.log.memory).is_empty() && spooled(&second) == 0).await;
    // Who reads the log ends it with all that is there.
    let ended: Vec<_> = distinct(&second).into_iter().map(|record| record.id).collect();
    assert_eq!(ended, [stays]);
    until(|| second.spool.as_ref().unwrap().memory.messages().is_empty()).await;
}

/// What a log's files hold when their process is gone.
async fn copy(memory: &MemoryLog) -> MemoryLog {
    let copy = MemoryLog::new(Duration::from_secs(60));
    let mut last = 0;
    for (sequence, message) in memory.messages() {
        assert!(sequence == last + 1, "nothing was purged");
        last = sequence;
        copy.append(vec![message]).await.remove(0).unwrap();
    }
    copy
}

#[tokio::test]
async fn when_the_spool_is_full_too_calls_succeed_and_what_is_missing_is_counted() {
    let spool = TestLog::over(MemoryLog::new(Duration::from_secs(60)).with_max_bytes(300_000));
    let mut rig = Rig::over(TestLog::new(), Some(spool), |config| {
        config.timeouts.acknowledge = Duration::from_millis(200);
        config.queue.total = 1 << 20;
        config.queue.exchange = 1 << 20;
    })
    .await;
    rig.log.faulty.cut_off();
    let mut sent = 0;
    for _ in 0..40 {
        let answer = get(rig.address, "/plain/raw/50000", &[]).await;
        assert_eq!((answer.body.len(), answer.after), (50_000, After::Whole));
        sent += 50_000;
    }
    let health = rig.health.snapshot();
    assert!(health.lost_bytes > 0, "{health:?}");
    rig.log.faulty.recover();
    until(|| distinct(&rig).len() as u64 == 40 - rig.health.snapshot().unrecorded).await;
    let found = distinct(&rig);
    let kept: u64 = found.iter().map(|record| record.response.len() as u64).sum();
    let lost: u64 = found.iter().map(Record::lost).sum();
    let health = rig.health.snapshot();
    assert_eq!(kept + lost, sent - health.unrecorded * 50_000);
    assert_eq!(health.lost_bytes, lost);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_spool_that_is_at_its_limit_is_left_alone() {
    let mut rig = Rig::over(TestLog::new(), Some(TestLog::new()), |config| {
        config.timeouts.acknowledge = Duration::from_millis(200);
        config.spool.max_bytes = 200_000;
    })
    .await;
    rig.log.faulty.cut_off();
    for _ in 0..20 {
        get(rig.address, "/plain/raw/50000", &[]).await;
    }
    until(|| rig.health.snapshot().spool_bytes >= 200_000).await;
    let bytes = rig.spool.as_ref().unwrap().memory.health().await.unwrap().bytes;
    assert!(bytes < 200_000 + (4 << 20), "{bytes}");
    rig.log.faulty.recover();
    until(|| distinct(&rig).len() == 20).await;
    assert_eq!(rig.health.snapshot().lost_bytes, 0);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_log_that_is_back_is_used_again_though_the_spool_takes_messages() {
    let rig = rig().await;
    rig.log.faulty.cut_off();
    calls(&rig, 3).await;
    until(|| spooled(&rig) == 3).await;
    rig.log.faulty.recover();
    until(|| spooled(&rig) == 0).await;
    let made = soon(calls_until_the_log_is_up(&rig, 3)).await;
    until(|| spooled(&rig) == 0).await;
    let written = rig.spool.as_ref().unwrap().faulty.written();
    calls(&rig, 3).await;
    until(|| distinct(&rig).len() == made + 3).await;
    assert_eq!(rig.spool.as_ref().unwrap().faulty.written(), written);
}

#[tokio::test]
async fn a_spool_that_can_not_be_read_is_not_held_against_the_log() {
    let rig = rig().await;
    rig.log.faulty.cut_off();
    let mut connection = Connection::open(rig.address).await;
    let headers = [("x-mock", "chunks=60; chunk-delay=20ms; flush"), ("x-mock-id", "s")];
    connection.send(head("POST", "/v1/chat/completions", &headers, Some(STREAM.len()))).await;
    connection.send(STREAM).await;
    let spool = rig.spool.as_ref().unwrap();
    until(|| spool.memory.messages().iter().any(|(_, message)| message.kind == MessageKind::Part)).await;
    rig.log.faulty.recover();
    let made = soon(calls_until_the_log_is_up(&rig, 0)).await;
    // Now what it holds of the stream can neither be added to nor taken out.
    spool.faulty.cut_off();
    let began = Instant::now();
    let answer = connection.receive("POST").await;
    until(|| {
        assert!(rig.health.snapshot().log_up, "the log took all it was given");
        spool.faulty.failed_reads() >= 4
    })
    .await;
    // 50, 100 and 200 ms.
    assert!(began.elapsed() >= Duration::from_millis(300), "tried too often: {:?}", began.elapsed());
    calls(&rig, 1).await;
    until(|| distinct(&rig).len() == made + 1).await;
    spool.faulty.recover();
    until(|| distinct(&rig).len() == made + 2).await;
    let stream = distinct(&rig).into_iter().find(|record| record.response == answer.body).unwrap();
    assert_eq!((stream.outcome(), stream.lost()), (Outcome::Completed, 0));
}

#[tokio::test]
async fn a_full_disk_counts_as_a_full_spool() {
    let rig = Rig::over(TestLog::new(), Some(TestLog::new()), |config| {
        config.spool.directory = Some(std::env::temp_dir());
        config.spool.min_free_bytes = u64::MAX;
    })
    .await;
    rig.log.faulty.cut_off();
    calls(&rig, 5).await;
    until(|| !rig.health.snapshot().log_up).await;
    assert!(rig.spool.as_ref().unwrap().memory.messages().is_empty());
    rig.log.faulty.recover();
    until(|| distinct(&rig).len() == 5).await;
}
