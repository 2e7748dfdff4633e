use std::collections::BTreeMap;

use proptest::prelude::*;
use verbatim_core::model::{ExchangeId, Outcome, ProviderDialect, RecordMode, Timestamp};
use verbatim_proto::v1::{Part, Piece};
use verbatim_proto::{Assembly, delta_decode};

use super::*;
use crate::capture::{HeadBytes, Queue, Queued};
use crate::config::{QueueLimits, Redaction};
use crate::health::Gauges;
use crate::publish::sequence_lists;

mod giving_up;

/// A log and a spool that keep what they are given, and the machine between.
struct Bench {
    queue: Arc<Queue>,
    exchange: Arc<Exchange>,
    machine: Machine,
    now: Instant,
    in_flight: Vec<Outgoing>,
    stored: [BTreeMap<Sequence, (MessageKind, Message)>; 2],
    sent: [Vec<u8>; 2],
    over: bool,
}

/// What a test does next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Chunk { request: bool, length: usize },
    End,
    Wait(u64),
    Take,
    Confirm(usize),
    Fail(usize),
    ToSpool,
}

fn start_facts() -> StartFacts {
    StartFacts {
        began_at: Timestamp::from_unix_ms(1),
        method: "POST".to_owned(),
        path: "/v1/x".to_owned(),
        version: "HTTP/1.1",
        headers: HeadBytes::default(),
        caller: Default::default(),
        provider: "p".to_owned(),
        dialect: ProviderDialect::Openai,
        upstream_url: String::new(),
        session: None,
        tags: Vec::new(),
        trace_id: None,
    }
}

fn end_facts() -> EndFacts {
    EndFacts {
        outcome: Outcome::Completed,
        status: Some(200),
        error: None,
        duration_us: 1,
        first_byte_us: None,
        relay_us: None,
        attempts: Vec::new(),
        trailers: None,
        notes: Vec::new(),
        facts: Vec::new(),
        provider: "p".to_owned(),
    }
}

impl Bench {
    fn new() -> Self {
        let queue = Arc::new(Queue::new(QueueLimits::default(), u64::MAX, Arc::new(Gauges::default())));
        let id = ExchangeId::mint();
        let exchange = Exchange::begin(&queue, id, Instant::now(), RecordMode::Full, false, start_facts());
        let mut events = Vec::new();
        queue.take(&mut events);
        let Some(Queued { event: Event::Start(facts), .. }) = events.pop() else {
            panic!("a start comes first")
        };
        let keys = Arc::new(BodyKeys::new(&Redaction::default()).unwrap());
        let machine = Machine::new(Arc::clone(&exchange), "g".into(), keys, facts);
        let now = Instant::now();
        Self {
            queue,
            exchange,
            machine,
            now,
            in_flight: Vec::new(),
            stored: Default::default(),
            sent: Default::default(),
            over: false,
        }
    }

    fn pass_on(&mut self) {
        let mut events = Vec::new();
        self.queue.take(&mut events);
        events.into_iter().for_each(|queued| self.machine.event(queued.event, self.now));
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Chunk { request, length } if !self.over => {
                let leg = if request { Leg::ClientRequest } else { Leg::ClientResponse };
                let sent = &mut self.sent[usize::from(!request)];
                let bytes: Bytes = (0..length).map(|at| ((at + sent.len()) % 251) as u8).collect();
                assert!(self.exchange.try_chunk(leg, sent.len() as u64, &bytes));
                sent.extend_from_slice(&bytes);
                self.pass_on();
            }
            Step::End if !self.over => {
                self.over = true;
                self.exchange.end(end_facts());
                self.pass_on();
            }
            Step::Chunk { .. } | Step::End => {}
            Step::Wait(ms) => self.now += Duration::from_millis(ms),
            Step::Take => {
                if let Some(outgoing) = self.machine.next(self.now) {
                    let lane = self.machine.lane() as usize;
                    self.check_order(&outgoing, lane);
                    self.in_flight.push(outgoing);
                }
            }
            Step::Confirm(which) if !self.in_flight.is_empty() => {
                let outgoing = self.in_flight.remove(which % self.in_flight.len());
                self.store(&outgoing);
            }
            Step::Fail(which) if !self.in_flight.is_empty() => {
                let outgoing = self.in_flight.remove(which % self.in_flight.len());
                // Its confirmation may be what was lost.
                if which % 3 == 0 {
                    self.keep(&outgoing);
                }
                self.machine.not_stored(outgoing);
            }
            Step::Confirm(_) | Step::Fail(_) => {}
            Step::ToSpool => {
                if self.machine.in_flight() == 0
                    && self.machine.lane() == LaneName::Log
                    && !self.is_published()
                {
                    self.machine.resume(LaneName::Spool);
                }
            }
        }
        if self.machine.is_failed() && self.in_flight.is_empty() {
            self.machine.resume(self.machine.lane());
        }
    }

    fn check_order(&self, outgoing: &Outgoing, lane: usize) {
        let started =
            self.stored.iter().any(|stored| stored.values().any(|(kind, _)| *kind == MessageKind::Start));
        match outgoing.kind() {
            MessageKind::Start => assert!(self.in_flight.is_empty()),
            MessageKind::Part => assert!(started, "no part before the start is confirmed"),
            MessageKind::End => {
                assert!(self.in_flight.is_empty(), "the end goes only when all others are confirmed");
                let Message::End(end) = decode(outgoing.payload.clone()).unwrap().message else {
                    panic!("an end")
                };
                assert_ne!(started, end.start.is_some(), "a start goes alone, or inside the end");
                for sequence in delta_decode(&end.sequences).chain(delta_decode(&end.manifests)) {
                    assert!(self.stored[lane].contains_key(&sequence), "it names what is there");
                }
            }
        }
    }

    fn keep(&mut self, outgoing: &Outgoing) -> Sequence {
        let lane = &mut self.stored[self.machine.lane() as usize];
        let sequence = lane.len() as u64 + 1;
        lane.insert(sequence, (outgoing.kind(), decode(outgoing.payload.clone()).unwrap().message));
        sequence
    }

    fn store(&mut self, outgoing: &Outgoing) {
        let sequence = self.keep(outgoing);
        let was_last = self.machine.stored(outgoing, sequence);
        assert_eq!(was_last, outgoing.kind() == MessageKind::End);
    }

    fn is_published(&self) -> bool {
        self.stored.iter().any(|stored| stored.values().any(|(kind, _)| *kind == MessageKind::End))
    }

    /// Lets everything go well until nothing is left to do.
    fn finish(&mut self) {
        self.run(Step::End);
        for _ in 0..10_000 {
            if self.is_published() && self.in_flight.is_empty() {
                return;
            }
            self.run(Step::Take);
            self.run(Step::Confirm(0));
        }
        panic!("it comes to an end");
    }

    /// What a reader finds from the last end.
    fn read(&self) -> [Vec<u8>; 2] {
        let lane = self.machine.lane() as usize;
        let end = self.stored[lane].values().rev().find_map(|(_, message)| match message {
            Message::End(end) => Some(end.clone()),
            Message::Start(_) | Message::Part(_) => None,
        });
        let end = end.unwrap();
        let mut legs: BTreeMap<u32, Assembly> = BTreeMap::new();
        let mut add = |piece: Piece| legs.entry(piece.leg).or_default().add(piece);
        let mut starts = usize::from(end.start.is_some());
        end.start.iter().filter_map(|start| start.request.clone()).for_each(&mut add);
        let mut names: Vec<(usize, Sequence)> = Vec::new();
        for manifest in delta_decode(&end.manifests) {
            let (_, Message::Part(part)) = &self.stored[lane][&manifest] else {
                panic!("a manifest is a part")
            };
            names.extend(delta_decode(&part.sequences).map(|sequence| (lane, sequence)));
        }
        names.extend(delta_decode(&end.sequences).map(|sequence| (lane, sequence)));
        while let Some((lane, sequence)) = names.pop() {
            match &self.stored[lane][&sequence].1 {
                Message::Start(start) => {
                    starts += 1;
                    start.request.clone().into_iter().for_each(&mut add);
                }
                Message::Part(part) => {
                    part.pieces.iter().cloned().for_each(&mut add);
                    assert!(part.sequences.is_empty(), "a manifest is named as one");
                    names.extend(delta_decode(&part.carried).map(|sequence| (0, sequence)));
                }
                Message::End(_) => panic!("an end names no end"),
            }
        }
        assert_eq!(starts, 1, "the start is named once, or inside");
        end.pieces.iter().cloned().for_each(&mut add);
        let mut read = [Leg::ClientRequest, Leg::ClientResponse].map(|leg| {
            let bytes = legs.remove(&u32::from(leg.number())).unwrap_or_default().finish().0.to_vec();
            let summary = end.legs.iter().find(|summary| summary.leg == u32::from(leg.number())).unwrap();
            assert_eq!(summary.length, bytes.len() as u64);
            assert_eq!(summary.hash.to_vec(), blake3::hash(&bytes).as_bytes().to_vec());
            bytes
        });
        std::mem::take(&mut read)
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<bool>(), 1usize..90_000).prop_map(|(request, length)| Step::Chunk { request, length }),
        1 => Just(Step::End),
        2 => (0u64..400).prop_map(Step::Wait),
        8 => Just(Step::Take),
        5 => (0usize..9).prop_map(Step::Confirm),
        2 => (0usize..9).prop_map(Step::Fail),
        1 => Just(Step::ToSpool),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn whatever_happens_in_between_the_end_names_everything_and_everything_is_there(steps in steps()) {
        let mut bench = Bench::new();
        for step in steps {
            if bench.is_published() {
                break;
            }
            bench.run(step);
        }
        if !bench.is_published() {
            bench.finish();
        }
        prop_assert_eq!(bench.read(), bench.sent);
        prop_assert_eq!(bench.exchange.charged() > 0, true, "the start's charge stays until it is dropped");
    }
}

#[test]
fn a_short_exchange_has_no_parts() {
    let mut bench = Bench::new();
    bench.run(Step::Chunk { request: true, length: 1000 });
    bench.run(Step::Take);
    bench.run(Step::Chunk { request: false, length: 1000 });
    bench.finish();
    let kinds: Vec<_> = bench.stored[0].values().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [MessageKind::Start, MessageKind::End]);
}

#[test]
fn an_exchange_that_is_over_before_its_start_was_sent_is_one_message() {
    let mut bench = Bench::new();
    bench.run(Step::Chunk { request: true, length: 90_000 });
    bench.run(Step::Chunk { request: false, length: 1000 });
    bench.run(Step::End);
    bench.run(Step::Take);
    bench.run(Step::Fail(1));
    assert!(!bench.machine.is_started());
    bench.finish();
    let kinds: Vec<_> = bench.stored[0].values().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [MessageKind::End]);
    assert!(bench.machine.is_started());
    assert_eq!(bench.read(), bench.sent);
}

#[test]
fn a_large_exchange_that_is_over_begins_with_its_start_all_the_same() {
    let mut bench = Bench::new();
    bench.run(Step::Chunk { request: false, length: PART_BYTES + 1 });
    bench.finish();
    let kinds: Vec<_> = bench.stored[0].values().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [MessageKind::Start, MessageKind::Part, MessageKind::End]);
    assert_eq!(bench.read(), bench.sent);
}

#[test]
fn what_comes_behind_the_end_is_dropped() {
    let mut bench = Bench::new();
    bench.run(Step::Chunk { request: true, length: 100 });
    bench.run(Step::End);
    bench.exchange.head(HeadFacts {
        leg: Leg::ClientResponse,
        version: "HTTP/1.1",
        status: 502,
        headers: HeadBytes::default(),
        at_us: 1,
    });
    assert!(bench.exchange.try_chunk(Leg::ClientResponse, 0, &Bytes::from_static(b"nobody reads this")));
    bench.exchange.end(EndFacts { outcome: Outcome::UpstreamAborted, ..end_facts() });
    bench.pass_on();
    bench.finish();
    let Some((_, Message::End(end))) = bench.stored[0].values().next_back() else { panic!("an end") };
    assert_eq!(end.outcome, u32::from(Outcome::Completed.number()));
    assert!(end.heads.is_empty(), "{:?}", end.heads);
    assert_eq!(bench.read(), bench.sent);
}

#[test]
fn a_part_goes_at_64_kib_or_after_a_quarter_of_a_second() {
    let mut bench = Bench::new();
    bench.run(Step::Take);
    bench.run(Step::Confirm(0));
    bench.run(Step::Chunk { request: false, length: 1000 });
    assert!(!bench.machine.has_next(bench.now));
    bench.run(Step::Wait(250));
    assert!(bench.machine.has_next(bench.now));
    bench.run(Step::Take);
    bench.run(Step::Chunk { request: false, length: FLUSH_BYTES });
    assert!(bench.machine.has_next(bench.now), "and the one before need not be confirmed");
}

#[test]
fn many_sequences_go_into_manifests() {
    let (here, manifests) = sequence_lists((1..=100_000).collect());
    assert_eq!(here.len(), verbatim_proto::SEQUENCES);
    assert_eq!(manifests.len(), 3);
    let named = manifests.iter().flat_map(|part| delta_decode(&part.sequences).collect::<Vec<_>>());
    assert!(delta_decode(&here).chain(named).eq(1..=100_000));

    let mut bench = Bench::new();
    bench.run(Step::Take);
    bench.run(Step::Confirm(0));
    // As after hours of a stream.
    for sequence in 2..=100_000 {
        bench.stored[0].insert(sequence, (MessageKind::Part, Message::Part(Part::default())));
        bench.machine.sequences.push(sequence);
    }
    bench.finish();
    let Some((_, Message::End(end))) = bench.stored[0].values().last() else { panic!("the end is last") };
    assert_eq!(delta_decode(&end.manifests).count(), 3);
    assert_eq!(bench.read(), bench.sent);
}
