//! Any history of calls, restarts and kills, held to what the contract allows.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use verbatim_core::ports::{CaptureLog, Consumer, Delivery, Message, MessageKind, Sequence};

use super::{LogWorld, MakeWorld, NEVER, append, at_once, health, message, pull};

/// Histories tried. Each is some 20 calls.
const HISTORIES: u32 = 24;

/// Runs many histories; a failing one is cut down to the shortest that fails.
pub async fn any_history_agrees_with_the_model(world: MakeWorld) {
    let runtime = Handle::current();
    let config = Config { cases: HISTORIES, failure_persistence: None, ..Config::default() };
    block_in_place(|| {
        TestRunner::new(config)
            .run(&vec(call(), 1..40), |history| {
                runtime.block_on(live_through(&*world(NEVER), history));
                Ok(())
            })
            .expect("every history agrees");
    });
}

/// One call. An [`Index`] picks one of the messages that the model knows.
#[derive(Debug, Clone)]
enum Call {
    Append(Vec<(MessageKind, u16)>),
    Next(Consumer, usize),
    Acknowledge(Consumer, Vec<Index>),
    Progress(Consumer, Vec<Index>),
    HandBack(Consumer, Vec<Index>),
    /// Up to a message, or behind it.
    Purge(Index, bool),
    Close,
    Kill,
}

fn call() -> impl Strategy<Value = Call> {
    let kind = prop_oneof![Just(MessageKind::Start), Just(MessageKind::Part), Just(MessageKind::End)];
    let consumer = || prop_oneof![Just(Consumer::Recorder), Just(Consumer::Watch)];
    let some = || vec(any::<Index>(), 1..6);
    prop_oneof![
        5 => vec((kind, 0..3000u16), 1..8).prop_map(Call::Append),
        5 => (consumer(), 1..6usize).prop_map(|(consumer, count)| Call::Next(consumer, count)),
        4 => (consumer(), some()).prop_map(|(consumer, some)| Call::Acknowledge(consumer, some)),
        1 => (consumer(), some()).prop_map(|(consumer, some)| Call::Progress(consumer, some)),
        2 => (consumer(), some()).prop_map(|(consumer, some)| Call::HandBack(consumer, some)),
        1 => any::<(Index, bool)>().prop_map(|(index, behind)| Call::Purge(index, behind)),
        1 => Just(Call::Close),
        1 => Just(Call::Kill),
    ]
}

/// What became of a message at its consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Never,
    InHand,
    Back,
    /// In the hands of a reader that is gone: it may come again, and must once the acknowledgement wait is over.
    Left,
    Acknowledged,
    /// Acknowledged, and the log was closed in order since.
    Settled,
    /// Acknowledged, but the log was killed: it may come again.
    Perhaps,
}

#[derive(Default)]
struct Model {
    appended: Vec<(Sequence, Message)>,
    floor: Sequence,
    read: BTreeMap<Sequence, Read>,
}

impl Model {
    fn kind(consumer: Consumer) -> MessageKind {
        match consumer {
            Consumer::Recorder => MessageKind::End,
            Consumer::Watch => MessageKind::Start,
        }
    }

    fn pick(&self, some: &[Index]) -> Vec<Sequence> {
        if self.appended.is_empty() {
            return Vec::new();
        }
        some.iter().map(|index| index.get(&self.appended).0).collect()
    }

    /// Those of a consumer that are held, and how far each was read.
    fn of(&self, consumer: Consumer) -> impl Iterator<Item = (Sequence, Read)> {
        let kind = Self::kind(consumer);
        let held =
            self.appended.iter().filter(move |(sequence, m)| *sequence >= self.floor && m.kind == kind);
        held.map(|(sequence, _)| (*sequence, self.read[sequence]))
    }

    fn change(&mut self, consumer: Consumer, sequences: &[Sequence], change: impl Fn(Read) -> Read) {
        let of: Vec<_> = self.of(consumer).filter(|(sequence, _)| sequences.contains(sequence)).collect();
        for (sequence, read) in of {
            self.read.insert(sequence, change(read));
        }
    }

    fn delivered(&mut self, consumer: Consumer, count: usize, deliveries: &[Delivery]) {
        assert!(deliveries.len() <= count, "{} came where {count} were asked for", deliveries.len());
        let mut fresh =
            self.of(consumer).filter(|(_, read)| *read == Read::Never).map(|(sequence, _)| sequence);
        for delivery in deliveries {
            let found = self.of(consumer).find(|(sequence, _)| *sequence == delivery.sequence);
            match found.map(|(_, read)| read) {
                Some(Read::Never) => {
                    assert_eq!(fresh.next(), Some(delivery.sequence), "out of order");
                    assert_eq!(delivery.redelivered, 0);
                }
                Some(Read::Back | Read::Left | Read::Perhaps) => {}
                other => panic!("{delivery:?} was not to come: {other:?}"),
            }
            let (_, expected) =
                self.appended.iter().find(|(sequence, _)| *sequence == delivery.sequence).unwrap();
            let (got, is_head) =
                (&delivery.message, consumer == Consumer::Watch && delivery.message.payload.is_empty());
            let expected = Message {
                payload: if is_head { got.payload.clone() } else { expected.payload.clone() },
                ..expected.clone()
            };
            assert_eq!(*got, expected);
        }
        drop(fresh);
        let came: Vec<_> = deliveries.iter().map(|delivery| delivery.sequence).collect();
        self.change(consumer, &came, |_| Read::InHand);
    }

    fn reopened(&mut self, killed: bool, comes_again: bool) {
        for read in self.read.values_mut() {
            *read = match *read {
                Read::InHand | Read::Back if comes_again => Read::Back,
                Read::InHand | Read::Back => Read::Left,
                Read::Acknowledged if killed => Read::Perhaps,
                Read::Acknowledged => Read::Settled,
                other => other,
            };
        }
    }

    fn purged(&mut self, floor: Sequence, world: &dyn LogWorld) {
        let last = self.appended.last().map_or(0, |(sequence, _)| *sequence);
        let highest = if world.keeps_the_last() { last } else { last + 1 };
        self.floor = self.floor.max(floor.min(highest));
        for read in self.read.range_mut(..self.floor).map(|(_, read)| read) {
            *read = match *read {
                // Nobody waits for what this log's reader holds of them; what it handed back is no longer its own.
                Read::InHand => Read::Acknowledged,
                Read::Back if !world.comes_again_at_opening() => Read::Left,
                other => other,
            };
        }
    }

    /// How many purged messages the log may still wait for: those in the hands of a reader that is gone, until their
    /// acknowledgement wait is over.
    fn ghosts(&self, consumer: Consumer, world: &dyn LogWorld) -> u64 {
        let kind = Self::kind(consumer);
        let gone =
            self.appended.iter().filter(|(sequence, message)| *sequence < self.floor && message.kind == kind);
        let ghosts =
            gone.filter(|(sequence, _)| matches!(self.read[sequence], Read::Left | Read::Perhaps)).count();
        if world.comes_again_at_opening() { 0 } else { ghosts as u64 }
    }

    async fn agrees(&self, world: &dyn LogWorld, log: &dyn CaptureLog) {
        let sequences: Vec<_> = self.appended.iter().map(|(sequence, _)| *sequence).collect();
        let held = |sequence: Sequence, message: &Message| (sequence >= self.floor).then(|| message.clone());
        let expected: Vec<_> =
            self.appended.iter().map(|(sequence, message)| held(*sequence, message)).collect();
        assert_eq!(log.read(&sequences).await.unwrap(), expected);
        let floors = log.floors().await.unwrap();
        assert_eq!(floors.last, sequences.last().copied().unwrap_or(0));
        for (consumer, floor) in [(Consumer::Recorder, floors.recorder), (Consumer::Watch, floors.watch)] {
            let is_done = |read: Read| matches!(read, Read::Acknowledged | Read::Settled);
            match self.of(consumer).find(|(_, read)| !is_done(*read)) {
                None if self.ghosts(consumer, world) == 0 => {
                    assert_eq!(floor, floors.last, "{consumer:?} is idle");
                }
                None => assert!(floor <= floors.last, "{consumer:?} above what was written"),
                Some((sequence, Read::Perhaps)) => {
                    assert!(floor <= floors.last, "{consumer:?} above {sequence}");
                }
                Some((sequence, _)) => assert!(floor < sequence, "{consumer:?} has not read {sequence}"),
            }
        }
        let messages = expected.into_iter().flatten();
        let (count, bytes) = messages.fold((0, 0), |(count, bytes), m| (count + 1, bytes + m.payload.len()));
        let health = health(world, log, bytes as u64).await;
        assert_eq!(health.messages, count);
        let pending = |perhaps| {
            let is_pending = |read| {
                matches!(read, Read::Never | Read::InHand | Read::Back | Read::Left) || read == perhaps
            };
            self.of(Consumer::Recorder).filter(|(_, read)| is_pending(*read)).count() as u64
        };
        let range = pending(Read::Never)..=pending(Read::Perhaps) + self.ghosts(Consumer::Recorder, world);
        if world.counts_exactly() || *range.end() == 0 {
            assert!(range.contains(&health.ends_pending), "{} pending, not {range:?}", health.ends_pending);
        }
    }
}

async fn live_through(world: &dyn LogWorld, history: Vec<Call>) {
    let mut log: Arc<dyn CaptureLog> = world.open().await;
    let mut model = Model::default();
    for call in history {
        match call {
            Call::Append(shapes) => {
                let gateways = ["gateway-1", "gateway-2"];
                let shaped = shapes.iter().zip(gateways.iter().cycle());
                let shaped = shaped
                    .map(|(&(kind, bytes), gateway)| message(kind, gateway, vec![bytes as u8; bytes.into()]));
                let messages: Vec<_> = shaped.collect();
                let sequences = append(&*log, messages.clone()).await;
                let before = model.appended.last().map_or(0, |(sequence, _)| *sequence);
                assert!(
                    [before].iter().chain(&sequences).is_sorted_by(|a, b| a < b),
                    "{before} {sequences:?}"
                );
                model.read.extend(sequences.iter().map(|&sequence| (sequence, Read::Never)));
                model.appended.extend(sequences.into_iter().zip(messages));
            }
            Call::Next(consumer, count) => {
                let comes = model.of(consumer).any(|(_, read)| matches!(read, Read::Never | Read::Back));
                let limit = if comes { pull(count) } else { at_once(count) };
                let deliveries = log.next(consumer, limit).await.unwrap();
                assert!(!comes || !deliveries.is_empty(), "something was to come");
                model.delivered(consumer, count, &deliveries);
            }
            Call::Acknowledge(consumer, some) => {
                let sequences = model.pick(&some);
                log.acknowledge(consumer, &sequences).await.unwrap();
                model.change(consumer, &sequences, |read| match read {
                    Read::InHand => Read::Acknowledged,
                    // Late: whether it still counts is the adapter's to choose, so it may come again.
                    Read::Back => Read::Perhaps,
                    other => other,
                });
            }
            Call::Progress(consumer, some) => {
                log.progress(consumer, &model.pick(&some)).await.unwrap();
            }
            Call::HandBack(consumer, some) => {
                let sequences = model.pick(&some);
                log.hand_back(consumer, &sequences).await.unwrap();
                model.change(
                    consumer,
                    &sequences,
                    |read| if read == Read::InHand { Read::Back } else { read },
                );
            }
            Call::Purge(index, behind) => {
                let floor = model.pick(&[index]).first().map_or(0, |&sequence| sequence + u64::from(behind));
                log.purge(floor).await.unwrap();
                model.purged(floor, world);
            }
            Call::Close | Call::Kill => {
                let killed = matches!(call, Call::Kill);
                drop(log);
                if killed {
                    world.kill().await;
                } else {
                    world.close().await;
                }
                log = world.open().await;
                model.reopened(killed, world.comes_again_at_opening());
            }
        }
        model.agrees(world, &*log).await;
    }
    world.close().await;
}
