//! One durable reader: what it was given, what it acknowledged, what comes next. Sans-IO.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use verbatim_core::ports::{Consumer, MessageKind, Sequence};

use crate::contents::Entry;

/// What a reader reads: every message of one kind.
pub(crate) fn kind_of(consumer: Consumer) -> MessageKind {
    match consumer {
        Consumer::Recorder => MessageKind::End,
        Consumer::Watch => MessageKind::Start,
    }
}

/// A moment so long after another; far away where that can't be told.
pub(crate) fn after(moment: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    moment + wait.min(FAR)
}

/// Finds messages in order; what the log's files hold.
pub(crate) trait Following {
    /// The first message of this kind at or after a sequence.
    fn following(&self, kind: MessageKind, from: Sequence) -> Option<(Sequence, Entry)>;

    /// The sequence after the last that was written.
    fn end(&self) -> Sequence;
}

/// One durable reader.
///
/// Everything below `position` was given out at some time; of that, `given` is what is not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    kind: MessageKind,
    position: Sequence,
    given: BTreeMap<Sequence, Given>,
    /// Nothing in `given` has to be given again before that.
    due: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Given {
    deliveries: u32,
    /// In the reader's hands until then; `None`: to be given again.
    until: Option<Instant>,
}

/// A message that is to be given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Picked {
    pub(crate) sequence: Sequence,
    /// How often it was given out before.
    pub(crate) redelivered: u32,
}

/// How much to give out, and until when it may stay out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Take {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) now: Instant,
    pub(crate) until: Instant,
}

impl Cursor {
    /// A reader that has read nothing.
    pub(crate) fn new(consumer: Consumer) -> Self {
        Self { kind: kind_of(consumer), position: 1, given: BTreeMap::new(), due: None }
    }

    /// Gives out what is due again, then what is new, both in order.
    pub(crate) fn take(&mut self, log: &impl Following, take: Take) -> Vec<Picked> {
        let mut picked = Vec::new();
        let mut bytes = 0;
        let mut fits = |picked: &[Picked], entry: Entry| {
            bytes += entry.bytes;
            picked.len() < take.messages && (bytes <= take.bytes || picked.is_empty())
        };
        if self.due.is_some_and(|due| due <= take.now) {
            let mut gone = Vec::new();
            for (&sequence, given) in &mut self.given {
                if given.until.is_some_and(|until| until > take.now) {
                    continue;
                }
                let Some((_, entry)) =
                    log.following(self.kind, sequence).filter(|&(found, _)| found == sequence)
                else {
                    gone.push(sequence);
                    continue;
                };
                if !fits(&picked, entry) {
                    break;
                }
                picked.push(Picked { sequence, redelivered: given.deliveries });
                given.deliveries = given.deliveries.saturating_add(1);
                given.until = Some(take.until);
            }
            self.acknowledge(&gone);
            self.find_due(take.now);
            if self.due.is_some_and(|due| due <= take.now) {
                return picked;
            }
        }
        while let Some((sequence, entry)) = self.next_new(log) {
            if !fits(&picked, entry) {
                break;
            }
            picked.push(Picked { sequence, redelivered: 0 });
            self.given.insert(sequence, Given { deliveries: 1, until: Some(take.until) });
            self.position = sequence + 1;
            self.due = Some(self.due.map_or(take.until, |due| due.min(take.until)));
        }
        picked
    }

    /// The moment at which something given out comes back.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Undoes a take whose messages never reached the reader.
    pub(crate) fn undo(&mut self, picked: &[Picked], now: Instant) {
        for picked in picked {
            if let Some(given) = self.given.get_mut(&picked.sequence) {
                *given = Given { deliveries: picked.redelivered, until: None };
                self.due = Some(now);
            }
        }
    }

    /// Forgets what the reader is done with.
    pub(crate) fn acknowledge(&mut self, sequences: &[Sequence]) {
        for sequence in sequences {
            self.given.remove(sequence);
        }
    }

    /// Leaves these in the reader's hands for longer.
    pub(crate) fn progress(&mut self, sequences: &[Sequence], until: Instant) {
        for sequence in sequences {
            if let Some(given) = self.given.get_mut(sequence).filter(|given| given.until.is_some()) {
                given.until = Some(until);
            }
        }
    }

    /// Takes these out of the reader's hands.
    pub(crate) fn hand_back(&mut self, sequences: &[Sequence], now: Instant) {
        for sequence in sequences {
            if let Some(given) = self.given.get_mut(sequence) {
                given.until = None;
                self.due = Some(now);
            }
        }
    }

    /// Forgets everything below a sequence.
    pub(crate) fn purge(&mut self, floor: Sequence) {
        self.given = self.given.split_off(&floor);
        self.position = self.position.max(floor);
    }

    /// Forgets a message that the log lost.
    pub(crate) fn lose(&mut self, sequence: Sequence) {
        self.given.remove(&sequence);
    }

    /// Everything of its kind up to here is acknowledged.
    pub(crate) fn floor(&mut self, log: &impl Following) -> Sequence {
        let given = self.given.first_key_value().map(|(&sequence, _)| sequence);
        let unread = given.or_else(|| self.next_new(log).map(|(sequence, _)| sequence));
        unread.unwrap_or_else(|| log.end()) - 1
    }

    /// How many messages of its kind are in the reader's hands or come again.
    pub(crate) fn outstanding(&self) -> usize {
        self.given.len()
    }

    /// Where the messages begin that were never given out.
    pub(crate) fn position(&self) -> Sequence {
        self.position
    }

    /// As bytes, to be kept: the unacknowledged deliveries.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let pairs = self.given.iter();
        pairs
            .flat_map(|(sequence, given)| {
                sequence.to_le_bytes().into_iter().chain(given.deliveries.to_le_bytes())
            })
            .collect()
    }

    /// A reader as it was kept: all that it had in its hands is given out again.
    pub(crate) fn decode(consumer: Consumer, position: Sequence, given: &[u8]) -> Self {
        let mut cursor = Self { position: position.max(1), ..Self::new(consumer) };
        for packed in given.as_chunks::<12>().0 {
            let [a, b, c, d, e, f, g, h, deliveries @ ..] = *packed;
            let sequence = Sequence::from_le_bytes([a, b, c, d, e, f, g, h]);
            let given = Given { deliveries: u32::from_le_bytes(deliveries), until: None };
            cursor.given.insert(sequence, given);
        }
        cursor.due = (!cursor.given.is_empty()).then(Instant::now);
        cursor
    }

    /// The first message never given out; passes over those of other kinds for good.
    fn next_new(&mut self, log: &impl Following) -> Option<(Sequence, Entry)> {
        let found = log.following(self.kind, self.position);
        self.position = self.position.max(found.map_or(log.end(), |(sequence, _)| sequence));
        found
    }

    fn find_due(&mut self, now: Instant) {
        self.due = self.given.values().map(|given| given.until.unwrap_or(now)).min();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::Contents;

    impl Following for Contents {
        fn following(&self, kind: MessageKind, from: Sequence) -> Option<(Sequence, Entry)> {
            self.between(from, Sequence::MAX).find(|(_, entry)| entry.kind == kind)
        }

        fn end(&self) -> Sequence {
            Self::end(self)
        }
    }

    fn log(kinds: &str) -> Contents {
        let mut contents = Contents::new(1);
        for (kind, sequence) in kinds.chars().zip(1..) {
            match kind {
                's' => contents.push(sequence, MessageKind::Start, 10),
                'p' => contents.push(sequence, MessageKind::Part, 10),
                'e' => contents.push(sequence, MessageKind::End, 10),
                _ => {}
            }
        }
        contents
    }

    fn take(now: Instant, messages: usize) -> Take {
        Take { messages, bytes: usize::MAX, now, until: now + Duration::from_secs(60) }
    }

    fn sequences(picked: &[Picked]) -> Vec<(Sequence, u32)> {
        picked.iter().map(|picked| (picked.sequence, picked.redelivered)).collect()
    }

    #[test]
    fn gives_out_in_order_and_again_only_what_is_due() {
        let (log, now) = (log("seespe"), Instant::now());
        let mut cursor = Cursor::new(Consumer::Recorder);
        assert_eq!(sequences(&cursor.take(&log, take(now, 2))), [(2, 0), (3, 0)]);
        assert_eq!(sequences(&cursor.take(&log, take(now, 2))), [(6, 0)]);
        cursor.acknowledge(&[2, 99]);
        let soon = now + Duration::from_secs(30);
        cursor.progress(&[3], soon + Duration::from_secs(60));
        assert_eq!(cursor.take(&log, take(soon, 9)), []);
        let later = now + Duration::from_secs(60);
        assert_eq!(sequences(&cursor.take(&log, take(later, 9))), [(6, 1)]);
        cursor.hand_back(&[6, 3], later);
        assert_eq!(sequences(&cursor.take(&log, take(later, 9))), [(3, 1), (6, 2)]);
    }

    #[test]
    fn the_byte_limit_lets_one_message_through_at_least() {
        let (log, now) = (log("eee"), Instant::now());
        let mut cursor = Cursor::new(Consumer::Recorder);
        let limited = Take { bytes: 25, ..take(now, 9) };
        assert_eq!(sequences(&cursor.take(&log, limited)), [(1, 0), (2, 0)]);
        assert_eq!(sequences(&cursor.take(&log, Take { bytes: 1, ..limited })), [(3, 0)]);
    }

    #[test]
    fn the_floor_stands_below_what_is_unread_and_moves_on_when_idle() {
        let now = Instant::now();
        let mut cursor = Cursor::new(Consumer::Watch);
        assert_eq!(cursor.floor(&Contents::new(1)), 0);
        assert_eq!(cursor.floor(&log("ppsp")), 2);
        cursor.take(&log("ppsp"), take(now, 9));
        assert_eq!(cursor.floor(&log("ppsp")), 2);
        cursor.acknowledge(&[3]);
        assert_eq!(cursor.floor(&log("ppspp")), 5);
    }

    #[test]
    fn what_was_lost_or_purged_or_never_arrived_holds_nothing_up() {
        let (mut log, now) = (log("eeee"), Instant::now());
        let mut cursor = Cursor::new(Consumer::Recorder);
        let picked = cursor.take(&log, take(now, 3));
        cursor.undo(&picked[2..], now);
        log.lose(2);
        cursor.purge(2);
        cursor.hand_back(&[2], now);
        assert_eq!(sequences(&cursor.take(&log, take(now, 9))), [(3, 0), (4, 0)]);
        assert_eq!(cursor.outstanding(), 2);
    }

    #[test]
    fn comes_back_as_it_was_kept_with_everything_due() {
        let (log, now) = (log("eee"), Instant::now());
        let mut cursor = Cursor::new(Consumer::Recorder);
        cursor.take(&log, take(now, 2));
        cursor.acknowledge(&[1]);
        let mut kept = Cursor::decode(Consumer::Recorder, cursor.position(), &cursor.encode());
        assert_eq!(kept.floor(&log), 1);
        assert_eq!(sequences(&kept.take(&log, take(Instant::now(), 9))), [(2, 1), (3, 0)]);
    }
}
