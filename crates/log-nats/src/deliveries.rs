//! What one process holds of a consumer's deliveries. Sans-IO.
//!
//! What came and was not taken yet is handed to the next who asks; what was taken can be acknowledged by its sequence.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use async_nats::Subject;
use tokio::time::Instant;
use verbatim_core::ports::{Delivery, Message, PullLimit, Sequence};

/// A delivery as it came from the server.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) sequence: Sequence,
    pub(crate) message: Message,
    /// How often it was delivered before.
    pub(crate) redelivered: u32,
    /// Where it is acknowledged.
    pub(crate) reply: Subject,
}

#[derive(Debug)]
struct Held {
    arrived: Arrived,
    /// When its acknowledgement wait began.
    since: Instant,
}

/// What one process holds.
#[derive(Debug)]
pub(crate) struct Deliveries {
    acknowledgement_wait: Duration,
    /// The server gives no more out to all processes together.
    most: usize,
    ready: BTreeMap<Sequence, Held>,
    /// Without the payloads.
    in_hand: HashMap<Sequence, Held>,
}

impl Deliveries {
    pub(crate) fn new(acknowledgement_wait: Duration, most: usize) -> Self {
        Self { acknowledgement_wait, most, ready: BTreeMap::new(), in_hand: HashMap::new() }
    }

    pub(crate) fn arrived(&mut self, arrived: Arrived, now: Instant) {
        self.ready.insert(arrived.sequence, Held { arrived, since: now });
    }

    /// How many can be taken.
    pub(crate) fn ready(&mut self, now: Instant) -> usize {
        // What waited for too long here is given out again by the server, perhaps to another process.
        let wait = self.acknowledgement_wait;
        self.ready.retain(|_, held| now.duration_since(held.since) < wait);
        self.ready.len()
    }

    /// Takes what is ready, in order, within the limits; at least one.
    pub(crate) fn take(&mut self, limit: PullLimit, now: Instant) -> Vec<Delivery> {
        self.ready(now);
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.ready.first_entry() {
            bytes += next.get().arrived.message.payload.len();
            if !taken.is_empty() && (taken.len() >= limit.messages || bytes > limit.bytes) {
                break;
            }
            let Held { arrived, since } = next.remove();
            let Arrived { sequence, message, redelivered, reply } = arrived;
            let head = Message { payload: bytes::Bytes::new(), ..message.clone() };
            let held = Held { arrived: Arrived { sequence, message: head, redelivered, reply }, since };
            self.in_hand.insert(sequence, held);
            taken.push(Delivery { sequence, message, redelivered });
        }
        self.forget(now);
        taken
    }

    /// Where these are acknowledged; those that are not in hand are left out.
    pub(crate) fn replies(&self, sequences: &[Sequence]) -> Vec<(Sequence, Subject)> {
        let of = |sequence| Some((sequence, self.in_hand.get(&sequence)?.arrived.reply.clone()));
        let mut seen = HashSet::with_capacity(sequences.len());
        sequences
            .iter()
            .filter(|sequence| seen.insert(**sequence))
            .filter_map(|sequence| of(*sequence))
            .collect()
    }

    /// They are out of hand.
    pub(crate) fn done(&mut self, sequence: Sequence) {
        self.in_hand.remove(&sequence);
    }

    /// Their wait began anew.
    pub(crate) fn restart(&mut self, sequences: &[Sequence], now: Instant) {
        for sequence in sequences {
            if let Some(held) = self.in_hand.get_mut(sequence) {
                held.since = now;
            }
        }
    }

    /// Those in hand are ready again, here. Only for deliveries without payloads.
    pub(crate) fn put_back(&mut self, sequences: &[Sequence], now: Instant) {
        for sequence in sequences {
            if let Some(mut held) = self.in_hand.remove(sequence) {
                held.arrived.redelivered = held.arrived.redelivered.saturating_add(1);
                held.since = now;
                self.ready.insert(*sequence, held);
            }
        }
    }

    /// What is below is gone from the log; gives where it is acknowledged.
    pub(crate) fn purge(&mut self, floor: Sequence) -> Vec<(Sequence, Subject)> {
        let kept = self.ready.split_off(&floor);
        let ready = std::mem::replace(&mut self.ready, kept);
        let in_hand = self.in_hand.extract_if(|sequence, _| *sequence < floor);
        let gone = ready.into_iter().chain(in_hand);
        gone.map(|(sequence, held)| (sequence, held.arrived.reply)).collect()
    }

    /// Everything that is here, to be given back.
    pub(crate) fn leave(&mut self) -> Vec<Subject> {
        let ready = std::mem::take(&mut self.ready).into_values();
        let in_hand = std::mem::take(&mut self.in_hand).into_values();
        ready.chain(in_hand).map(|held| held.arrived.reply).collect()
    }

    /// The server holds no more than `most` for all; what is beyond that here, it no longer counts as ours.
    fn forget(&mut self, now: Instant) {
        if self.in_hand.len() > self.most {
            let wait = self.acknowledgement_wait;
            self.in_hand.retain(|_, held| now.duration_since(held.since) < wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use verbatim_core::model::ExchangeId;
    use verbatim_core::ports::MessageKind;

    use super::*;

    const WAIT: Duration = Duration::from_secs(60);

    fn arrived(sequence: Sequence) -> Arrived {
        let (gateway, exchange, payload) = ("g".to_owned(), ExchangeId::mint(), Bytes::from_static(b"1234"));
        let message = Message { kind: MessageKind::End, gateway, exchange, payload };
        Arrived { sequence, message, redelivered: 0, reply: Subject::from(format!("reply.{sequence}")) }
    }

    fn take(
        deliveries: &mut Deliveries,
        messages: usize,
        bytes: usize,
        now: Instant,
    ) -> Vec<(Sequence, u32)> {
        let taken = deliveries.take(PullLimit { messages, bytes, wait: Duration::ZERO }, now);
        taken.into_iter().map(|delivery| (delivery.sequence, delivery.redelivered)).collect()
    }

    #[test]
    fn what_came_is_taken_in_order_within_limits_and_acknowledged_by_sequence() {
        let (mut deliveries, now) = (Deliveries::new(WAIT, 10), Instant::now());
        for sequence in [7, 3, 5] {
            deliveries.arrived(arrived(sequence), now);
        }
        assert_eq!(deliveries.replies(&[3]), [], "nobody took it yet");
        assert_eq!(take(&mut deliveries, 9, 1, now), [(3, 0)]);
        assert_eq!(take(&mut deliveries, 9, 8, now), [(5, 0), (7, 0)]);
        let replies = deliveries.replies(&[7, 3, 3, 99]);
        assert_eq!(replies.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), [7, 3]);
        deliveries.done(7);
        assert_eq!(deliveries.replies(&[7]), []);
    }

    #[test]
    fn what_nobody_took_in_time_is_left_to_the_server() {
        let (mut deliveries, now) = (Deliveries::new(WAIT, 10), Instant::now());
        deliveries.arrived(arrived(1), now);
        deliveries.arrived(arrived(2), now + WAIT / 2);
        assert_eq!(take(&mut deliveries, 9, 99, now + WAIT), [(2, 0)]);
    }

    #[test]
    fn what_is_put_back_is_taken_again_and_says_so() {
        let (mut deliveries, now) = (Deliveries::new(WAIT, 10), Instant::now());
        deliveries.arrived(arrived(1), now);
        take(&mut deliveries, 9, 99, now);
        deliveries.put_back(&[1, 2], now + WAIT);
        assert_eq!(take(&mut deliveries, 9, 99, now + WAIT), [(1, 1)]);
    }

    #[test]
    fn what_is_purged_or_given_back_is_gone() {
        let (mut deliveries, now) = (Deliveries::new(WAIT, 10), Instant::now());
        for sequence in 1..=4 {
            deliveries.arrived(arrived(sequence), now);
        }
        take(&mut deliveries, 2, 99, now);
        assert_eq!(deliveries.purge(2).len(), 1);
        assert_eq!(deliveries.replies(&[1]), []);
        assert_eq!(deliveries.leave().len(), 3);
        assert_eq!(deliveries.ready(now), 0);
    }

    #[test]
    fn what_is_in_hand_stays_bounded() {
        let (mut deliveries, now) = (Deliveries::new(WAIT, 3), Instant::now());
        for sequence in 1..=3 {
            deliveries.arrived(arrived(sequence), now);
        }
        take(&mut deliveries, 3, 99, now);
        deliveries.arrived(arrived(4), now + WAIT);
        take(&mut deliveries, 1, 99, now + WAIT);
        assert_eq!(deliveries.replies(&[1, 4]).len(), 1);
    }
}
