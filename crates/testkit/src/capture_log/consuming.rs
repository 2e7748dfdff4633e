//! Every `end` and every `start` reaches its consumer until it is acknowledged.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use verbatim_core::ports::{CaptureLog, Consumer, PullLimit};

use super::{
    MakeWorld, NEVER, SOON, append, at_once, end, nothing_more, part, payloads, pull, pull_all, sequences,
    start, world_to_reopen,
};

/// With what they say.
pub async fn ends_are_delivered_in_order_and_nothing_else(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    append(&*log, vec![start("s1"), end("e1"), part("p"), start("s2"), end("e2")]).await;
    append(&*log, vec![end("e3")]).await;
    let deliveries = pull_all(&*log, Consumer::Recorder, 3).await;
    assert_eq!(payloads(&deliveries), [b"e1", b"e2", b"e3"]);
    assert!(deliveries.iter().all(|delivery| delivery.redelivered == 0));
    nothing_more(&*log, Consumer::Recorder).await;
    world.close().await;
}

/// With who and which exchange; what they say may be left out.
pub async fn starts_are_delivered_to_the_watch_and_nothing_else(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    let messages = vec![start("s1"), end("e1"), part("p"), start("s2")];
    let appended = append(&*log, messages.clone()).await;
    let deliveries = pull_all(&*log, Consumer::Watch, 2).await;
    assert_eq!(sequences(&deliveries), [appended[0], appended[3]]);
    for (delivery, message) in deliveries.iter().zip([&messages[0], &messages[3]]) {
        let delivered = &delivery.message;
        assert_eq!((delivered.kind, delivered.exchange), (message.kind, message.exchange));
        assert_eq!(delivered.gateway, message.gateway);
    }
    nothing_more(&*log, Consumer::Watch).await;
    world.close().await;
}

/// In messages and in bytes.
pub async fn a_pull_keeps_to_its_limits_but_gives_one_message_at_least(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    append(&*log, (0..10).map(|n| end(&format!("{n}{}", "x".repeat(999)))).collect()).await;
    let mut taken = 0;
    for (limit, most) in [
        (PullLimit { bytes: 1, ..pull(10) }, 1),
        (PullLimit { bytes: 2500, ..pull(10) }, 2),
        (PullLimit { bytes: 100_000, ..pull(3) }, 3),
    ] {
        let deliveries = log.next(Consumer::Recorder, limit).await.unwrap();
        assert!((1..=most).contains(&deliveries.len()), "{} with {limit:?}", deliveries.len());
        for delivery in &deliveries {
            assert_eq!(delivery.message.payload[0], b'0' + taken);
            taken += 1;
        }
    }
    world.close().await;
}

/// And is no error.
pub async fn an_empty_pull_waits_no_longer_than_told(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    append(&*log, vec![start("start")]).await;
    let wait = Duration::from_millis(50);
    let began = Instant::now();
    let deliveries = log.next(Consumer::Recorder, PullLimit { wait, ..pull(1) }).await.unwrap();
    assert!(deliveries.is_empty());
    assert!(began.elapsed() >= wait);
    assert!(log.next(Consumer::Recorder, at_once(1)).await.unwrap().is_empty());
    world.close().await;
}

/// It does not sleep through.
pub async fn a_waiting_pull_is_woken_by_an_append(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    let pulling = {
        let log = log.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { log.next(Consumer::Recorder, PullLimit { wait: NEVER, ..pull(1) }).await });
        tasks
    };
    append(&*log, vec![end("end")]).await;
    let deliveries = pulling.join_all().await.remove(0).unwrap();
    assert_eq!(payloads(&deliveries), [b"end"]);
    world.close().await;
}

/// However many pull at once, each delivery goes to one.
pub async fn two_pullers_never_hold_the_same_delivery(world: MakeWorld) {
    const MESSAGES: usize = 60;
    let world = world(NEVER);
    let log = world.open().await;
    let mut pullers = JoinSet::new();
    for _ in 0..4 {
        let log = log.clone();
        pullers.spawn(async move {
            let mut mine = Vec::new();
            while mine.len() < MESSAGES / 4 {
                let limit = pull(3.min(MESSAGES / 4 - mine.len()));
                mine.extend(sequences(&log.next(Consumer::Recorder, limit).await.unwrap()));
            }
            mine
        });
    }
    let mut appended = Vec::new();
    for n in 0..MESSAGES / 6 {
        appended.extend(append(&*log, (0..6).map(|i| end(&format!("{n}.{i}"))).collect()).await);
    }
    let mut pulled = pullers.join_all().await.concat();
    pulled.sort_unstable();
    assert_eq!(pulled, appended);
    world.close().await;
}

/// Not after the wait, not after reopening in order.
pub async fn what_is_acknowledged_never_comes_again(world: MakeWorld) {
    let world = world(SOON);
    let log = world.open().await;
    append(&*log, vec![end("first"), end("second"), end("third")]).await;
    let deliveries = pull_all(&*log, Consumer::Recorder, 3).await;
    // Out of order, and one left: that it comes again tells that the wait passed.
    log.acknowledge(Consumer::Recorder, &[deliveries[2].sequence, deliveries[0].sequence]).await.unwrap();
    let again = log.next(Consumer::Recorder, pull(10)).await.unwrap();
    assert_eq!(payloads(&again), [b"second"]);
    assert_eq!(again[0].redelivered, 1);
    log.acknowledge(Consumer::Recorder, &[again[0].sequence]).await.unwrap();
    nothing_more(&*log, Consumer::Recorder).await;
    world.close().await;
}

/// All of it, in order, and it says so.
pub async fn what_is_not_acknowledged_comes_again_after_the_wait(world: MakeWorld) {
    let world = world(SOON);
    let log = world.open().await;
    append(&*log, vec![end("first"), end("second")]).await;
    let began = Instant::now();
    let first = pull_all(&*log, Consumer::Recorder, 2).await;
    let again = pull_all(&*log, Consumer::Recorder, 2).await;
    assert!(began.elapsed() >= SOON, "delivered again after {:?}", began.elapsed());
    assert_eq!(sequences(&again), sequences(&first));
    assert!(again.iter().all(|delivery| delivery.redelivered >= 1), "{again:?}");
    world.close().await;
}

/// Work that takes longer than the wait keeps its deliveries.
pub async fn progress_restarts_the_wait(world: MakeWorld) {
    let world = world(SOON);
    // On a machine that stops for longer than the wait, the delivery may rightly come again: then it counts for nothing.
    for _ in 0..10 {
        let log = world.open().await;
        append(&*log, vec![end("worked on"), end("left alone")]).await;
        let deliveries = pull_all(&*log, Consumer::Recorder, 2).await;
        let (mut last, mut slow) = (Instant::now(), false);
        let again = loop {
            log.progress(Consumer::Recorder, &[deliveries[0].sequence]).await.unwrap();
            slow |= last.elapsed() > SOON / 2;
            last = Instant::now();
            let limit = PullLimit { wait: SOON / 20, ..pull(10) };
            let again = log.next(Consumer::Recorder, limit).await.unwrap();
            if !again.is_empty() {
                break again;
            }
        };
        slow |= last.elapsed() > SOON / 2;
        let kept = sequences(&again) == [deliveries[1].sequence];
        settle(&*log, sequences(&deliveries)).await;
        world.close().await;
        if kept {
            return;
        }
        assert!(slow, "what was worked on was delivered again: {again:?}");
    }
}

async fn settle(log: &dyn CaptureLog, sequences: Vec<u64>) {
    log.acknowledge(Consumer::Recorder, &sequences).await.unwrap();
}

/// Without waiting for the acknowledgement wait, and before what is new.
pub async fn what_is_handed_back_comes_again_soon(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    append(&*log, vec![end("first"), end("second")]).await;
    let deliveries = pull_all(&*log, Consumer::Recorder, 2).await;
    log.hand_back(Consumer::Recorder, &[deliveries[1].sequence]).await.unwrap();
    let again = log.next(Consumer::Recorder, pull(10)).await.unwrap();
    assert_eq!(payloads(&again), [b"second"]);
    assert_eq!(again[0].redelivered, 1);
    nothing_more(&*log, Consumer::Recorder).await;
    world.close().await;
}

/// A consumer that died takes nothing with it.
pub async fn what_was_delivered_and_not_acknowledged_comes_again_after_reopening(world: MakeWorld) {
    let world = world_to_reopen(world);
    let log = world.open().await;
    append(&*log, vec![end("first"), end("second"), start("start")]).await;
    let deliveries = pull_all(&*log, Consumer::Recorder, 2).await;
    pull_all(&*log, Consumer::Watch, 1).await;
    world.close().await;
    drop(log);
    let log = world.open().await;
    let again = pull_all(&*log, Consumer::Recorder, 2).await;
    assert_eq!(sequences(&again), sequences(&deliveries));
    assert!(again.iter().all(|delivery| delivery.redelivered >= 1), "{again:?}");
    assert_eq!(pull_all(&*log, Consumer::Watch, 1).await.len(), 1);
    drop(log);
    world.kill().await;
    let log = world.open().await;
    assert_eq!(sequences(&pull_all(&*log, Consumer::Recorder, 2).await), sequences(&deliveries));
    world.close().await;
}

/// Also those with gaps between them.
pub async fn acknowledgements_survive_an_orderly_close(world: MakeWorld) {
    let world = world_to_reopen(world);
    let log = world.open().await;
    append(&*log, (0..6).map(|n| end(&format!("end {n}"))).collect()).await;
    let deliveries = pull_all(&*log, Consumer::Recorder, 5).await;
    let done: Vec<_> = [4, 0, 2].map(|n: usize| deliveries[n].sequence).to_vec();
    log.acknowledge(Consumer::Recorder, &done).await.unwrap();
    world.close().await;
    drop(log);
    let log = world.open().await;
    let again = pull_all(&*log, Consumer::Recorder, 3).await;
    let mut payloads = payloads(&again);
    if !world.comes_again_at_opening() {
        // What comes again may come after what is new.
        payloads.sort_unstable();
    }
    assert_eq!(payloads, [b"end 1", b"end 3", b"end 5"]);
    nothing_more(&*log, Consumer::Recorder).await;
    world.close().await;
}

/// Whatever is done with them.
pub async fn unknown_sequences_are_ignored(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    let appended = append(&*log, vec![part("part"), end("end")]).await;
    let unknown = [0, appended[0], appended[1], appended[1] + 1, u64::MAX >> 1];
    log.acknowledge(Consumer::Recorder, &unknown).await.unwrap();
    log.progress(Consumer::Recorder, &unknown).await.unwrap();
    log.hand_back(Consumer::Recorder, &unknown).await.unwrap();
    // Not even the `end`: it was not delivered yet.
    assert_eq!(payloads(&pull_all(&*log, Consumer::Recorder, 1).await), [b"end"]);
    log.acknowledge(Consumer::Watch, &appended).await.unwrap();
    log.hand_back(Consumer::Recorder, &[appended[1]]).await.unwrap();
    assert_eq!(payloads(&pull_all(&*log, Consumer::Recorder, 1).await), [b"end"]);
    world.close().await;
}

/// Each has deliveries, acknowledgements and a floor of its own.
pub async fn the_consumers_do_not_disturb_each_other(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    let appended = append(&*log, vec![start("s"), end("e")]).await;
    let ends = pull_all(&*log, Consumer::Recorder, 1).await;
    log.acknowledge(Consumer::Recorder, &sequences(&ends)).await.unwrap();
    assert_eq!(sequences(&pull_all(&*log, Consumer::Watch, 1).await), [appended[0]]);
    let floors = log.floors().await.unwrap();
    assert!(floors.recorder >= appended[1] && floors.watch < appended[0], "{floors:?}");
    world.close().await;
}
