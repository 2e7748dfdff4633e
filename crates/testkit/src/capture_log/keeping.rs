//! Floors, purging, dead letters, health, liveness.

use verbatim_core::ports::{Consumer, DeadLetter, Floors, Liveness, LogHealth};

use super::{
    MakeWorld, NEVER, append, end, health, nothing_more, part, payloads, pull_all, sequences, start,
    world_to_reopen,
};

/// Whether undelivered, delivered, or acknowledged out of order.
pub async fn the_floors_stand_below_what_is_not_acknowledged(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    assert_eq!(log.floors().await.unwrap(), Floors::default());
    let appended = append(&*log, vec![part("p"), start("s1"), end("e1"), end("e2"), start("s2")]).await;
    let undelivered = log.floors().await.unwrap();
    assert!(undelivered.watch < appended[1] && undelivered.recorder < appended[2], "{undelivered:?}");
    let ends = pull_all(&*log, Consumer::Recorder, 2).await;
    log.acknowledge(Consumer::Recorder, &[ends[1].sequence]).await.unwrap();
    let floors = log.floors().await.unwrap();
    assert!(floors.recorder < appended[2], "{floors:?}");
    assert_eq!(floors.last, appended[4]);
    log.hand_back(Consumer::Recorder, &[ends[0].sequence]).await.unwrap();
    assert!(log.floors().await.unwrap().recorder < appended[2]);
    let again = pull_all(&*log, Consumer::Recorder, 1).await;
    log.acknowledge(Consumer::Recorder, &sequences(&again)).await.unwrap();
    let floors = log.floors().await.unwrap();
    assert!(floors.recorder >= appended[3] && floors.watch < appended[1], "{floors:?}");
    world.close().await;
}

/// To the last that was written, also where that was of another kind.
pub async fn the_floors_move_on_when_idle(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    append(&*log, vec![start("s"), end("e")]).await;
    for (consumer, message) in [(Consumer::Recorder, 1), (Consumer::Watch, 1)] {
        let deliveries = pull_all(&*log, consumer, message).await;
        log.acknowledge(consumer, &sequences(&deliveries)).await.unwrap();
    }
    let last = append(&*log, vec![part("p1"), part("p2")]).await[1];
    nothing_more(&*log, Consumer::Recorder).await;
    nothing_more(&*log, Consumer::Watch).await;
    assert_eq!(log.floors().await.unwrap(), Floors { recorder: last, watch: last, last });
    world.close().await;
}

/// Those of an idle log and those of one with something pending.
pub async fn floors_survive_reopening(world: MakeWorld) {
    let world = world_to_reopen(world);
    let log = world.open().await;
    append(&*log, vec![start("s"), end("e1"), end("e2")]).await;
    let deliveries = pull_all(&*log, Consumer::Recorder, 2).await;
    log.acknowledge(Consumer::Recorder, &[deliveries[0].sequence]).await.unwrap();
    let before = log.floors().await.unwrap();
    world.close().await;
    drop(log);
    let log = world.open().await;
    assert_eq!(log.floors().await.unwrap(), before);
    let deliveries = pull_all(&*log, Consumer::Recorder, 1).await;
    log.acknowledge(Consumer::Recorder, &sequences(&deliveries)).await.unwrap();
    world.close().await;
    drop(log);
    let log = world.open().await;
    nothing_more(&*log, Consumer::Recorder).await;
    assert_eq!(log.floors().await.unwrap().recorder, before.last);
    world.close().await;
}

/// The floor itself stays.
pub async fn what_is_purged_is_gone_and_nothing_else(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    let appended = append(&*log, (0..10).map(|n| part(&format!("part {n}"))).collect()).await;
    log.purge(appended[4]).await.unwrap();
    let read = log.read(&appended).await.unwrap();
    let held: Vec<_> = read.iter().map(Option::is_some).collect();
    assert_eq!(held, (0..10).map(|n| n >= 4).collect::<Vec<_>>());
    // A lower floor brings nothing back and takes nothing.
    log.purge(appended[2]).await.unwrap();
    let kept = LogHealth { bytes: 36, messages: 6, ..LogHealth::default() };
    assert_eq!(health(&*world, &*log, 36).await, kept);
    let floors = log.floors().await.unwrap();
    assert_eq!(floors, Floors { recorder: appended[9], watch: appended[9], last: appended[9] });
    world.close().await;
}

/// What was let go of does not come back.
pub async fn purging_survives_a_kill(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    let appended = append(&*log, vec![start("s"), end("e1"), end("e2")]).await;
    let deliveries = pull_all(&*log, Consumer::Recorder, 1).await;
    log.acknowledge(Consumer::Recorder, &sequences(&deliveries)).await.unwrap();
    log.purge(appended[2]).await.unwrap();
    drop(log);
    world.kill().await;
    let log = world.open().await;
    let read = log.read(&appended).await.unwrap();
    assert_eq!(read.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(payloads(&pull_all(&*log, Consumer::Recorder, 1).await), [b"e2"]);
    nothing_more(&*log, Consumer::Watch).await;
    world.close().await;
}

/// They hold nothing up afterwards.
pub async fn purging_lets_go_of_unread_messages(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    let appended =
        append(&*log, vec![end("taken"), end("never read"), start("never read"), end("kept")]).await;
    pull_all(&*log, Consumer::Recorder, 1).await;
    log.purge(appended[3]).await.unwrap();
    log.hand_back(Consumer::Recorder, &[appended[0]]).await.unwrap();
    assert_eq!(payloads(&pull_all(&*log, Consumer::Recorder, 1).await), [b"kept"]);
    nothing_more(&*log, Consumer::Watch).await;
    assert_eq!(log.health().await.unwrap().ends_pending, 1);
    assert_eq!(log.floors().await.unwrap().watch, appended[3]);
    world.close().await;
}

/// They outlive the message's purge and a kill; the same one again is the same one.
pub async fn dead_letters_are_durable_and_counted_once(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    let message = end("poison");
    let appended = append(&*log, vec![message.clone(), end("sound")]).await;
    let letter = DeadLetter { sequence: appended[0], message, reason: "its hash is wrong".into() };
    log.dead_letter(vec![letter.clone()]).await.unwrap();
    log.purge(appended[1]).await.unwrap();
    drop(log);
    world.kill().await;
    let log = world.open().await;
    assert_eq!(log.health().await.unwrap().dead_letters, 1);
    log.dead_letter(vec![letter.clone(), DeadLetter { sequence: appended[1], ..letter }]).await.unwrap();
    assert_eq!(log.health().await.unwrap().dead_letters, 2);
    world.close().await;
}

/// In messages, payload bytes and pending `end`s.
pub async fn health_counts_what_is_kept_and_pending(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    assert_eq!(health(&*world, &*log, 0).await, LogHealth::default());
    append(&*log, vec![start("12345"), end("123"), end("1"), part("")]).await;
    let kept = LogHealth { bytes: 9, max_bytes: None, messages: 4, ends_pending: 2, dead_letters: 0 };
    assert_eq!(health(&*world, &*log, 9).await, kept);
    let deliveries = pull_all(&*log, Consumer::Recorder, 1).await;
    assert_eq!(health(&*world, &*log, 9).await, kept);
    log.acknowledge(Consumer::Recorder, &sequences(&deliveries)).await.unwrap();
    assert_eq!(health(&*world, &*log, 9).await, LogHealth { ends_pending: 1, ..kept });
    world.close().await;
    drop(log);
    let log = world.open().await;
    assert_eq!(health(&*world, &*log, 9).await, LogHealth { ends_pending: 1, ..kept });
    world.close().await;
}

/// And not before.
pub async fn a_gateway_is_alive_once_it_said_so(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    // Writing in its name is not enough: others do, for those that died.
    append(&*log, vec![start("start")]).await;
    // Whoever speaks first may speak for others, too.
    assert_eq!(log.liveness("gateway-1").await.unwrap(), Liveness::Unknown);
    log.heartbeat("gateway-1").await.unwrap();
    assert_eq!(log.liveness("gateway-1").await.unwrap(), Liveness::Alive);
    assert_ne!(log.liveness("gateway-2").await.unwrap(), Liveness::Alive);
    world.close().await;
}
