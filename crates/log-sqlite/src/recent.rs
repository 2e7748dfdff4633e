//! The newest messages, in memory.

use std::collections::VecDeque;

use verbatim_core::ports::{Message, Sequence};

/// A ring of the newest messages, bounded by their payload bytes.
#[derive(Debug)]
pub(crate) struct Recent {
    ring: VecDeque<(Sequence, Message)>,
    bytes: usize,
    max_bytes: usize,
    /// Messages that ever came: the number of the next one.
    seen: u64,
}

impl Recent {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { ring: VecDeque::new(), bytes: 0, max_bytes, seen: 0 }
    }

    /// Adds the newest, and lets go of the oldest where there is no room.
    pub(crate) fn push(&mut self, sequence: Sequence, message: Message) {
        self.bytes += message.payload.len();
        self.seen += 1;
        self.ring.push_back((sequence, message));
        while self.bytes > self.max_bytes
            && let Some((_, old)) = self.ring.pop_front()
        {
            self.bytes -= old.payload.len();
        }
    }

    /// The message at a place, if it is still here.
    pub(crate) fn get(&self, sequence: Sequence) -> Option<&Message> {
        let place = self.ring.binary_search_by_key(&sequence, |&(sequence, _)| sequence).ok()?;
        self.ring.get(place).map(|(_, message)| message)
    }

    /// Lets go of what is below a sequence.
    pub(crate) fn purge(&mut self, floor: Sequence) {
        while let Some((sequence, _)) = self.ring.front()
            && *sequence < floor
            && let Some((_, old)) = self.ring.pop_front()
        {
            self.bytes -= old.payload.len();
        }
    }

    /// How many messages ever came.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// The messages from number `from` (counted in [`Recent::seen`]) on, at most `limit`, and how many went by before
    /// the first of them.
    pub(crate) fn since(&self, from: u64, limit: usize) -> (u64, impl Iterator<Item = &Message>) {
        let oldest = self.seen - self.ring.len() as u64;
        let missed = oldest.saturating_sub(from);
        let skip = usize::try_from(from.saturating_sub(oldest)).unwrap_or(usize::MAX).min(self.ring.len());
        (missed, self.ring.range(skip..).map(|(_, message)| message).take(limit))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use verbatim_core::model::ExchangeId;
    use verbatim_core::ports::MessageKind;

    use super::*;

    #[test]
    fn holds_the_newest_bytes_and_tells_what_went_by() {
        let exchange = ExchangeId::mint();
        let message = |n: u8| Message {
            kind: MessageKind::Part,
            gateway: "gateway".into(),
            exchange,
            payload: Bytes::from(vec![n; 10]),
        };
        let mut recent = Recent::new(35);
        (1..=5).for_each(|n| recent.push(u64::from(n) * 2, message(n)));
        assert_eq!(recent.get(4), None);
        assert_eq!(recent.get(10), Some(&message(5)));
        let (missed, since) = recent.since(0, 2);
        assert_eq!((missed, since.cloned().collect::<Vec<_>>()), (2, vec![message(3), message(4)]));
        let (missed, since) = recent.since(5, 2);
        assert_eq!((missed, since.count()), (0, 0));
        recent.purge(10);
        assert_eq!((recent.get(8), recent.bytes), (None, 10));
    }
}
