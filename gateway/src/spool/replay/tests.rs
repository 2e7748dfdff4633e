use std::sync::atomic::AtomicU32;

use verbatim_proto::v1::envelope::Message as Body;
use verbatim_proto::v1::{End, Piece, Start};
use verbatim_proto::{decode, delta_decode};
use verbatim_testkit::{Fault, FaultyLog, MemoryLog};

use super::super::SPOOLED;
use super::super::batches::PIECES;
use super::*;

fn replayer(gateway: &str, log: &Arc<FaultyLog>, spool: &Arc<FaultyLog>) -> Replayer {
    let gauges = Arc::<Gauges>::default();
    Replayer::new(ReplayerConfig {
        gateway: gateway.into(),
        log: Arc::clone(log) as _,
        spool: Arc::clone(spool) as _,
        index: Arc::new(SpoolIndex::new(Arc::clone(&gauges))),
        gauges,
        acknowledge: Duration::from_secs(5),
    })
}

#[tokio::test]
async fn what_was_sent_but_could_not_be_noted_is_named_by_the_end_that_the_next_process_sends() {
    let memory = || Arc::new(MemoryLog::new(Duration::from_secs(60)));
    let (log_memory, spool_memory) = (memory(), memory());
    let log = Arc::new(FaultyLog::new(Arc::clone(&log_memory) as _));
    let spool = Arc::new(FaultyLog::new(Arc::clone(&spool_memory) as _));
    let id = ExchangeId::mint();
    let message = |kind, body| Message {
        kind,
        gateway: SPOOLED.to_owned(),
        exchange: id,
        payload: encode(id, "before", body),
    };
    let mut messages = vec![message(MessageKind::Start, Body::Start(Start::default()))];
    for offset in 0..PIECES as u64 + 3 {
        let part = Part { pieces: vec![Piece { offset, ..Default::default() }], ..Default::default() };
        messages.push(message(MessageKind::Part, Body::Part(part)));
    }
    let count = messages.len();
    let stand: Vec<_> = spool.append(messages).await.into_iter().map(Result::unwrap).collect();
    let end = End { sequences: delta_encode(stand), ..Default::default() };
    assert!(spool.append(vec![message(MessageKind::End, Body::End(end))]).await[0].is_ok());

    // The note that it begins is taken, the first one of what was sent is not; nor does the log take its end.
    let noted = AtomicU32::new(0);
    spool.set_for_messages(Fault::Fail, move |message| {
        message.gateway == PROGRESS && noted.fetch_add(1, Relaxed) > 0
    });
    log.set_for_messages(Fault::Fail, |message| message.kind == MessageKind::End);
    let mut first = replayer("first", &log, &spool);
    first.take_stock().await.unwrap();
    first.round().await.unwrap_err();
    spool.recover();
    first.round().await.unwrap_err();
    log.recover();
    spool_memory.restart();
    let mut second = replayer("second", &log, &spool);
    second.take_stock().await.unwrap();
    second.round().await.unwrap();

    let (_, end) = log_memory.messages().pop().unwrap();
    let Body::End(end) = decode(end.payload).unwrap().message else { panic!("an end") };
    let named: Vec<_> = delta_decode(&end.sequences).collect();
    let named = log_memory.read(&named).await.unwrap().into_iter().flatten();
    let mut offsets: Vec<_> = named
        .map(|message| match decode(message.payload).unwrap().message {
            Body::Part(part) => Some(part.pieces[0].offset),
            _ => None,
        })
        .collect();
    offsets.sort_unstable();
    offsets.dedup();
    assert_eq!(offsets.len(), count);
}

#[tokio::test]
async fn an_end_for_a_process_that_died_behind_its_manifests_names_messages_of_the_exchange_alone() {
    let memory = || Arc::new(MemoryLog::new(Duration::from_secs(60)));
    let (log_memory, spool_memory) = (memory(), memory());
    let log = Arc::new(FaultyLog::new(Arc::clone(&log_memory) as _));
    let spool = Arc::new(FaultyLog::new(Arc::clone(&spool_memory) as _));
    let (id, other) = (ExchangeId::mint(), ExchangeId::mint());
    let message = |gateway: &str, exchange, kind, body| Message {
        kind,
        gateway: gateway.to_owned(),
        exchange,
        payload: encode(exchange, "before", body),
    };
    let start = || Body::Start(Start::default());
    let part = |part| Body::Part(part);
    // Where the spool's messages stand there, others stand in the log.
    let mut before = vec![message("before", id, MessageKind::Start, start())];
    before.extend((0..5).map(|_| message("before", other, MessageKind::Start, start())));
    assert!(log.append(before).await.iter().all(Result::is_ok));
    let carry = Part { carried: delta_encode([1]), ..Default::default() };
    let piece = Part { pieces: vec![Piece::default()], ..Default::default() };
    let manifest = Part { sequences: delta_encode([2, 3]), ..Default::default() };
    let parts = [carry, piece.clone(), piece, manifest];
    let spooled = parts.map(|one| message(SPOOLED, id, MessageKind::Part, part(one)));
    assert!(spool.append(spooled.to_vec()).await.iter().all(Result::is_ok));

    let mut next = replayer("next", &log, &spool);
    next.take_stock().await.unwrap();
    next.round().await.unwrap();
    let (_, end) = log_memory.messages().pop().unwrap();
    let Body::End(end) = decode(end.payload).unwrap().message else { panic!("an end") };
    let named: Vec<_> = delta_decode(&end.sequences).collect();
    assert_eq!(named, [1, 7, 8], "its start, and its parts behind those of others");
}

fn memory() -> (Arc<MemoryLog>, Arc<FaultyLog>) {
    let memory = Arc::new(MemoryLog::new(Duration::from_secs(60)));
    (Arc::clone(&memory), Arc::new(FaultyLog::new(memory)))
}

/// A message in the spool, written by this process.
fn spooled_by(gateway: &str, id: ExchangeId, kind: MessageKind, body: Body) -> Message {
    Message { kind, gateway: SPOOLED.to_owned(), exchange: id, payload: encode(id, gateway, body) }
}

/// Spools an exchange with so many messages before its end; gives where these stand.
async fn spool_exchange(spool: &FaultyLog, id: ExchangeId, count: usize) -> Vec<Sequence> {
    let message = |kind, body| spooled_by("before", id, kind, body);
    let mut messages = Vec::new();
    for offset in 0..count as u64 {
        messages.push(match offset {
            0 => message(MessageKind::Start, Body::Start(Start::default())),
            _ => {
                let pieces = vec![Piece { offset, ..Default::default() }];
                message(MessageKind::Part, Body::Part(Part { pieces, ..Default::default() }))
            }
        });
    }
    let stand: Vec<_> = spool.append(messages).await.into_iter().map(Result::unwrap).collect();
    let end = End { sequences: delta_encode(stand.clone()), ..Default::default() };
    assert!(spool.append(vec![message(MessageKind::End, Body::End(end))]).await[0].is_ok());
    stand
}

#[tokio::test]
async fn the_end_of_an_exchange_follows_its_pieces_before_many_of_others_do() {
    let ((log_memory, log), (_, spool)) = (memory(), memory());
    let mut exchanges = HashMap::new();
    for count in [3, 0, 3, 40, 1, 1].into_iter().chain([3; 20]) {
        let id = ExchangeId::mint();
        spool_exchange(&spool, id, count).await;
        exchanges.insert(id, count);
    }
    let mut replayer = replayer("now", &log, &spool);
    replayer.take_stock().await.unwrap();
    assert_eq!(replayer.config.gauges.spooled.load(Relaxed), 26);
    replayer.round().await.unwrap();
    assert_eq!(replayer.config.gauges.spooled.load(Relaxed), 0);
    let sent: Vec<_> = log_memory.messages().into_iter().map(|(_, message)| message).collect();
    for (id, count) in exchanges {
        let own: Vec<usize> = (0..sent.len()).filter(|at| sent[*at].exchange == id).collect();
        let (first, last) = (own[0], own[own.len() - 1]);
        assert_eq!(own.len(), count + 1);
        assert_eq!(sent[last].kind, MessageKind::End);
        let others = last + 1 - first - own.len();
        let most = if count > PIECES { 0 } else { 2 * PIECES };
        assert!(others <= most, "{others} of others before the end of one with {count}");
    }
}

#[tokio::test]
async fn an_end_that_the_log_took_is_not_sent_again_because_it_refuses_the_pieces_of_another() {
    let ((log_memory, log), (_, spool)) = (memory(), memory());
    let (one, other) = (ExchangeId::mint(), ExchangeId::mint());
    spool_exchange(&spool, one, PIECES).await;
    spool_exchange(&spool, other, 1).await;
    log.set_for_messages(Fault::Fail, move |message| message.exchange == other);
    let mut replayer = replayer("now", &log, &spool);
    replayer.take_stock().await.unwrap();
    for _ in 0..3 {
        replayer.round().await.unwrap_err();
    }
    log.recover();
    replayer.round().await.unwrap();
    let ends = log_memory.messages().into_iter().filter(|(_, message)| message.kind == MessageKind::End);
    assert_eq!(ends.map(|(_, message)| message.exchange).collect::<Vec<_>>(), [one, other]);
}

#[tokio::test]
async fn a_full_spool_lets_go_of_what_left_it_another_way_and_takes_notes_again() {
    let (log_memory, log) = memory();
    let spool_memory = Arc::new(MemoryLog::new(Duration::from_secs(60)).with_max_bytes(4000));
    let spool = Arc::new(FaultyLog::new(spool_memory as _));
    let (left, id) = (ExchangeId::mint(), ExchangeId::mint());
    let mut replayer = replayer("now", &log, &spool);
    let part = || spooled_by("now", left, MessageKind::Part, Body::Part(Part::default()));
    assert!(spool.append((0..10).map(|_| part()).collect()).await.iter().all(Result::is_ok));
    replayer.config.index.found(left, 1);
    let begin = spool_exchange(&spool, id, 1).await[0];
    replayer.config.index.found(id, begin);
    while spool.append(vec![part()]).await[0].is_ok() {}
    replayer.round().await.unwrap_err();
    // It was taken to the log.
    replayer.config.index.forget(left);
    replayer.round().await.unwrap_err();
    replayer.round().await.unwrap();
    assert_eq!(log_memory.messages().len(), 2);
}

#[tokio::test]
async fn a_full_spool_lets_go_of_what_was_replayed_before_it_is_given_the_ends_that_are_missing() {
    let (log_memory, log) = memory();
    let id = ExchangeId::mint();
    let start = spooled_by("before", id, MessageKind::Start, Body::Start(Start::default()));
    let old = spooled_by("before", ExchangeId::mint(), MessageKind::End, Body::End(End::default()));
    let fills = Part { sequences: vec![1; 400], ..Default::default() };
    let filler = spooled_by("before", old.exchange, MessageKind::Part, Body::Part(fills));
    let messages = vec![filler, old, start];
    // Too little for an end.
    let most = messages.iter().map(|message| message.payload.len() as u64).sum::<u64>() + 10;
    let spool_memory = MemoryLog::new(Duration::from_secs(60)).with_max_bytes(most);
    let spool = Arc::new(FaultyLog::new(Arc::new(spool_memory)));
    assert!(spool.append(messages).await.iter().all(Result::is_ok));
    let end = spool.next(Consumer::Recorder, ENDS).await.unwrap();
    spool.acknowledge(Consumer::Recorder, &[end[0].sequence]).await.unwrap();
    let mut replayer = replayer("now", &log, &spool);
    replayer.take_stock().await.unwrap();
    replayer.round().await.unwrap();
    assert_eq!(log_memory.messages().len(), 2, "its start, and the end that was missing");
}

#[tokio::test]
async fn what_can_not_be_read_is_counted_once_however_often_its_round_is_tried() {
    let ((log_memory, log), (spool_memory, spool)) = (memory(), memory());
    let (broken, id) = (ExchangeId::mint(), ExchangeId::mint());
    let garbage = Message {
        payload: bytes::Bytes::from_static(b"no envelope"),
        ..spooled_by("before", broken, MessageKind::End, Body::End(End::default()))
    };
    assert!(spool.append(vec![garbage]).await[0].is_ok());
    spool_exchange(&spool, id, 1).await;
    log.cut_off();
    let mut replayer = replayer("now", &log, &spool);
    replayer.take_stock().await.unwrap();
    for _ in 0..3 {
        replayer.round().await.unwrap_err();
        assert_eq!(replayer.config.gauges.unrecorded.load(Relaxed), 1);
    }
    log.recover();
    replayer.round().await.unwrap();
    assert_eq!((log_memory.messages().len(), spool_memory.dead_letters().len()), (2, 1));
    assert_eq!(replayer.config.gauges.unrecorded.load(Relaxed), 1);
    assert_eq!(replayer.config.gauges.spooled.load(Relaxed), 0);
}

#[tokio::test]
async fn an_exchange_that_waits_counts_once_though_it_is_found_again() {
    let ((_, log), (_, spool)) = (memory(), memory());
    let id = ExchangeId::mint();
    let mut replayer = replayer("now", &log, &spool);
    let spooled = |replayer: &Replayer| replayer.config.gauges.spooled.load(Relaxed);
    // Its own process spools it, and then takes stock, twice, because the first time it can't read everything.
    replayer.config.index.expect(id);
    spool_exchange(&spool, id, 1).await;
    replayer.config.index.ended(id);
    for _ in 0..2 {
        replayer.take_stock().await.unwrap();
        assert_eq!(spooled(&replayer), 1);
    }
    replayer.round().await.unwrap();
    assert_eq!(spooled(&replayer), 0);
    // The confirmation of its end comes only now.
    replayer.config.index.ended(id);
    assert_eq!(spooled(&replayer), 0);
}
