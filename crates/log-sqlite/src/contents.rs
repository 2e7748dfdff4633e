//! What a file holds, in four bytes a message: enough to find the next `end` and to count without reading.

use verbatim_core::ports::{MessageKind, Sequence};

/// The longest payload a log takes, in bytes.
pub(crate) const MAX_PAYLOAD_BYTES: usize = (1 << 30) - 1;
/// Bytes that a message takes beside its payload, about.
const OVERHEAD_BYTES: u64 = 64;
const LENGTH_BITS: u32 = 30;

/// Bytes that a message with such a payload takes on disk, about.
pub(crate) const fn disk_bytes(payload: usize) -> u64 {
    payload as u64 + OVERHEAD_BYTES
}

/// Kind and length of each message of a file, from its first sequence on. A zero is a hole: a sequence that stands for
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contents {
    first: Sequence,
    entries: Vec<u32>,
    messages: u64,
    bytes: u64,
}

/// One message's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: MessageKind,
    pub(crate) bytes: usize,
}

impl Contents {
    pub(crate) fn new(first: Sequence) -> Self {
        Self { first, entries: Vec::new(), messages: 0, bytes: 0 }
    }

    /// The first sequence that can be in it.
    pub(crate) fn first(&self) -> Sequence {
        self.first
    }

    /// The sequence after its last.
    pub(crate) fn end(&self) -> Sequence {
        self.first + self.entries.len() as u64
    }

    /// Messages it holds.
    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }

    /// Bytes it takes on disk, about.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.bytes + self.messages * OVERHEAD_BYTES
    }

    /// Adds a message; what lies between the last and it is a hole. One below the end is ignored.
    pub(crate) fn push(&mut self, sequence: Sequence, kind: MessageKind, bytes: usize) {
        let Some(gap) = sequence.checked_sub(self.end()) else { return };
        let Ok(gap) = usize::try_from(gap) else { return };
        self.entries.resize(self.entries.len() + gap, 0);
        let bytes = u32::try_from(bytes.min(MAX_PAYLOAD_BYTES)).unwrap_or(0);
        self.entries.push((kind as u32) << LENGTH_BITS | bytes);
        self.messages += 1;
        self.bytes += u64::from(bytes);
    }

    /// What stands at a sequence.
    pub(crate) fn get(&self, sequence: Sequence) -> Option<Entry> {
        let place = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        entry(*self.entries.get(place)?)
    }

    /// Makes a hole of a message that can't be read any more; gives what was there.
    pub(crate) fn lose(&mut self, sequence: Sequence) -> Option<Entry> {
        let lost = self.get(sequence)?;
        let place = usize::try_from(sequence - self.first).ok()?;
        self.entries[place] = 0;
        self.messages -= 1;
        self.bytes -= lost.bytes as u64;
        Some(lost)
    }

    /// The messages from one sequence to before another.
    pub(crate) fn between(&self, from: Sequence, to: Sequence) -> impl Iterator<Item = (Sequence, Entry)> {
        let place = |sequence: Sequence| {
            usize::try_from(sequence.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.entries.len())
        };
        let (from, to) = (place(from), place(to));
        let entries = self.entries.get(from..to).unwrap_or_default();
        let first = self.first + from as u64;
        entries.iter().zip(first..).filter_map(|(&packed, sequence)| Some((sequence, entry(packed)?)))
    }

    /// As bytes, to be kept in a file that is full.
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.entries.iter().flat_map(|entry| entry.to_le_bytes()).collect()
    }

    /// From bytes.
    pub(crate) fn decode(first: Sequence, bytes: &[u8]) -> Self {
        let entries: Vec<u32> =
            bytes.as_chunks::<4>().0.iter().map(|&packed| u32::from_le_bytes(packed)).collect();
        let kept = || entries.iter().filter_map(|&packed| entry(packed));
        let (messages, bytes) = (kept().count() as u64, kept().map(|entry| entry.bytes as u64).sum());
        Self { first, entries, messages, bytes }
    }
}

fn entry(packed: u32) -> Option<Entry> {
    let kind = u8::try_from(packed >> LENGTH_BITS).ok().and_then(MessageKind::from_number)?;
    Some(Entry { kind, bytes: (packed & ((1 << LENGTH_BITS) - 1)) as usize })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_neither_found_nor_counted_and_survive_encoding() {
        let mut contents = Contents::new(10);
        contents.push(10, MessageKind::Start, 5);
        contents.push(13, MessageKind::End, MAX_PAYLOAD_BYTES);
        contents.push(12, MessageKind::End, 1);
        assert_eq!((contents.end(), contents.messages()), (14, 2));
        let found: Vec<_> =
            contents.between(0, u64::MAX).map(|(sequence, entry)| (sequence, entry.kind)).collect();
        assert_eq!(found, [(10, MessageKind::Start), (13, MessageKind::End)]);
        assert_eq!(contents.between(11, 13).count(), 0);
        assert_eq!(contents.get(13), Some(Entry { kind: MessageKind::End, bytes: MAX_PAYLOAD_BYTES }));
        assert_eq!((contents.get(9), contents.get(11), contents.get(14)), (None, None, None));
        assert_eq!(Contents::decode(10, &contents.encode()), contents);
        assert!(contents.lose(13).is_some() && contents.lose(13).is_none());
        assert_eq!((contents.messages(), contents.disk_bytes()), (1, 5 + OVERHEAD_BYTES));
    }
}
