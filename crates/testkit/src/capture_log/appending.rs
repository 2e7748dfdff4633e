//! What is written is there, in order, for good.

use bytes::Bytes;
use tokio::task::JoinSet;
use verbatim_core::ports::{Consumer, MessageKind};

use super::{MakeWorld, NEVER, append, end, message, part, pull_all, start};

/// Kind, gateway, exchange and payload come back as they were given.
pub async fn appended_messages_are_read_back_as_they_were(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    let messages = vec![
        message(MessageKind::Start, "gateway-1", "start"),
        message(MessageKind::Part, "gateway two, ünïcode", vec![0, 255, 10, 13]),
        message(MessageKind::End, "gateway-1", ""),
    ];
    let sequences = append(&*log, messages.clone()).await;
    let read = log.read(&sequences).await.unwrap();
    assert_eq!(read, messages.into_iter().map(Some).collect::<Vec<_>>());
    world.close().await;
}

/// Within one append and from one to the next.
pub async fn sequences_are_positive_and_rise_in_the_order_given(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    let mut all = Vec::new();
    for n in 1..=10 {
        all.extend(append(&*log, (0..n).map(|i| part(&format!("{n}.{i}"))).collect()).await);
    }
    assert!(all[0] > 0);
    assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
    assert_eq!(log.floors().await.unwrap().last, all[54]);
    let read = log.read(&[all[0], all[54]]).await.unwrap();
    let payloads: Vec<_> = read.into_iter().flatten().map(|message| message.payload).collect();
    assert_eq!(payloads, ["1.0", "10.9"]);
    world.close().await;
}

/// The largest that a part has, and its envelope.
pub async fn large_payloads_come_back_whole(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    let large =
        |seed: u8| -> Bytes { (0..520_000u32).map(|i| seed ^ (i.wrapping_mul(31) >> 3) as u8).collect() };
    let messages: Vec<_> = (0..8).map(|seed| message(MessageKind::Part, "gateway-1", large(seed))).collect();
    let sequences = append(&*log, messages.clone()).await;
    drop(log);
    world.kill().await;
    let log = world.open().await;
    let read = log.read(&sequences).await.unwrap();
    assert!(read.into_iter().flatten().eq(messages), "a large payload changed");
    world.close().await;
}

/// Nobody's messages get lost, mixed up or out of order.
pub async fn many_callers_append_at_once(world: MakeWorld) {
    const CALLERS: usize = 16;
    const CALLS: usize = 8;
    let world = world(NEVER);
    let log = world.open().await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let log = log.clone();
        callers.spawn(async move {
            let mut sequences = Vec::new();
            for call in 0..CALLS {
                let texts = [format!("{caller}/{call}/0"), format!("{caller}/{call}/1")];
                sequences.extend(append(&*log, texts.iter().map(|text| part(text)).collect()).await);
            }
            (caller, sequences)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = callers.join_next().await {
        let (caller, sequences) = done.expect("no caller panics");
        assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
        let read = log.read(&sequences).await.unwrap();
        for (place, message) in read.iter().enumerate() {
            let text = format!("{caller}/{}/{}", place / 2, place % 2);
            assert_eq!(message.as_ref().map(|message| &message.payload[..]), Some(text.as_bytes()));
        }
        all.extend(sequences);
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), CALLERS * CALLS * 2);
    world.close().await;
}

/// A kill right after the answer takes nothing.
pub async fn what_was_reported_durable_survives_a_kill(world: MakeWorld) {
    let world = world(NEVER);
    let mut known = Vec::new();
    for round in 0..3 {
        let log = world.open().await;
        let messages = vec![start(&format!("start {round}")), end(&format!("end {round}"))];
        let sequences = append(&*log, messages.clone()).await;
        drop(log);
        world.kill().await;
        known.extend(sequences.into_iter().zip(messages));
    }
    let log = world.open().await;
    let (sequences, messages): (Vec<_>, Vec<_>) = known.into_iter().unzip();
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    assert_eq!(log.read(&sequences).await.unwrap(), messages.into_iter().map(Some).collect::<Vec<_>>());
    assert_eq!(pull_all(&*log, Consumer::Recorder, 3).await.len(), 3);
    world.close().await;
}

/// A sequence is never used twice, whatever is left of those before.
pub async fn sequences_rise_on_after_everything_was_purged_and_reopened(world: MakeWorld) {
    let world = world(NEVER);
    let mut last = 0;
    for round in 0..4 {
        let log = world.open().await;
        assert!(log.floors().await.unwrap().last >= last);
        let sequences = append(&*log, vec![start("start"), end("end")]).await;
        assert!(sequences[0] > last, "{sequences:?} after {last}");
        last = sequences[1];
        log.purge(last + 1).await.unwrap();
        assert!(log.health().await.unwrap().messages <= 1, "more than the last one stayed");
        drop(log);
        if round % 2 == 0 {
            world.close().await;
        } else {
            world.kill().await;
        }
    }
}

/// It has no answer either.
pub async fn an_empty_append_is_no_message(world: MakeWorld) {
    let world = world(NEVER);
    let log = world.open().await;
    assert!(log.append(Vec::new()).await.is_empty());
    assert_eq!(log.floors().await.unwrap().last, 0);
    world.close().await;
}
