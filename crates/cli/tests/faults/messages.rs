//! Messages that come twice, out of order, late, or are none.

use std::collections::BTreeSet;

use bytes::Bytes;
use verbatim_core::ports::{CaptureLog, Message, MessageKind};

use crate::calls::mixed;
use crate::ground::Ground;

const CALLS: usize = 240;

/// Everything that the log holds.
async fn all(log: &dyn CaptureLog) -> Vec<Message> {
    let last = log.floors().await.unwrap().last;
    let places: Vec<_> = (1..=last).collect();
    log.read(&places).await.unwrap().into_iter().flatten().collect()
}

async fn append(log: &dyn CaptureLog, messages: Vec<Message>) {
    for stored in log.append(messages).await {
        stored.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_that_come_again_in_any_order_and_late_change_nothing() {
    let mut ground = Ground::without_recorders("required", &[]).await;
    let seen = ground.begin("again", CALLS).finish().await;
    let log = ground.log().await;
    // Nothing is on the way any more when every call has its end in the log.
    let ends = |messages: &[Message]| {
        let ends = messages.iter().filter(|message| message.kind == MessageKind::End);
        ends.map(|message| message.exchange).collect::<BTreeSet<_>>().len()
    };
    let mut messages = all(&log).await;
    while ends(&messages) < CALLS {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        messages = all(&log).await;
    }
    let mut again = messages.clone();
    again.sort_by_key(|message| *blake3::hash(&message.payload).as_bytes());
    append(&log, again.clone()).await;
    ground.recorders.iter_mut().for_each(|place| place.start(&ground.engines));
    ground.all_is_there(&seen).await;

    // All is archived, and the janitor has let go of it.
    log.purge(log.floors().await.unwrap().last + 1).await.unwrap();
    again.retain(|message| message.kind == MessageKind::End);
    append(&log, again).await;
    log.shutdown().await;
    ground.all_is_there(&seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn garbage_on_our_subjects_becomes_dead_letters_and_harms_no_neighbour() {
    const GARBAGE: usize = 50;
    let ground = Ground::new("best_effort").await;
    let load = ground.begin_with((0..CALLS).map(|number| mixed("poison", number)).collect());
    let log = ground.log().await;
    load.reached(1, 4).await;
    let garbage = (0..GARBAGE).map(|number| Message {
        kind: MessageKind::End,
        gateway: "stranger".to_owned(),
        exchange: verbatim_core::model::ExchangeId::mint(),
        payload: Bytes::from(vec![0xff, 0, number as u8]),
    });
    append(&log, garbage.collect()).await;
    ground.all_is_there(&load.finish().await).await;
    let letters = log.health().await.unwrap().dead_letters;
    assert_eq!(letters, GARBAGE as u64);
    log.shutdown().await;
}
