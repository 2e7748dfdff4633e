//! What of a leg waits to be published.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use verbatim_core::model::{ChunkTime, Leg};
use verbatim_proto::piece;
use verbatim_proto::v1::{LegSummary, Piece};

use crate::capture::{EVENT_BYTES, NotHandedOver};
use crate::redact::BodyRedactor;

/// The chunks of one leg that no message carries yet, as they are recorded, and the hashes of all that came.
#[derive(Debug)]
pub(super) struct LegBuffer {
    leg: Leg,
    chunks: VecDeque<Chunks>,
    waiting: usize,
    came: u64,
    next: u64,
    gap: bool,
    forfeited: u64,
    /// Kept only once a part was cut off: a short body is hashed in one go.
    hasher: Option<Box<blake3::Hasher>>,
    /// Hides what is secret; `None`: the body can't be read.
    redactor: Option<BodyRedactor>,
    /// Kept only once something was hidden: hashes what passed, while `hasher` hashes what is recorded.
    passed: Option<Box<blake3::Hasher>>,
}

/// Consecutive chunks, as they came.
#[derive(Debug)]
struct Chunks {
    offset: u64,
    bytes: Bytes,
    /// Those of the chunks in it whose beginning was not cut off.
    times: Vec<ChunkTime>,
}

impl LegBuffer {
    pub(super) const fn new(leg: Leg) -> Self {
        Self {
            leg,
            chunks: VecDeque::new(),
            waiting: 0,
            came: 0,
            next: 0,
            gap: false,
            forfeited: 0,
            hasher: None,
            redactor: None,
            passed: None,
        }
    }

    /// From now on the body is read by `redactor`.
    pub(super) fn redact_by(&mut self, redactor: Option<BodyRedactor>) {
        self.redactor = redactor;
    }

    /// Takes chunks in. A gap before them is a loss that the tee has counted.
    pub(super) fn push(&mut self, offset: u64, bytes: Bytes, times: Vec<ChunkTime>) {
        let is_behind_gap = offset != self.next;
        self.gap |= is_behind_gap;
        let bytes = self.redacted(bytes, is_behind_gap);
        self.next = offset + bytes.len() as u64;
        self.came += bytes.len() as u64;
        self.waiting += bytes.len();
        self.chunks.push_back(Chunks { offset, bytes, times });
    }

    /// Bytes as they are recorded; as many as came, so that offsets, times and charges stay what they are.
    fn redacted(&mut self, bytes: Bytes, is_behind_gap: bool) -> Bytes {
        let Some(redactor) = &mut self.redactor else { return bytes };
        if is_behind_gap {
            redactor.lost_some();
        }
        let redacted = redactor.redact(&bytes);
        if redacted.is_some() && self.passed.is_none() {
            // So far what is recorded is what passed: partly cut off and hashed, partly waiting.
            let mut passed = self.hasher.clone().unwrap_or_default();
            self.chunks.iter().for_each(|chunks| {
                passed.update(&chunks.bytes);
            });
            self.passed = Some(passed);
        }
        if let Some(passed) = &mut self.passed {
            passed.update(&bytes);
        }
        redacted.unwrap_or(bytes)
    }

    /// Bytes that wait.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Notes that bytes that were cut off will never be stored.
    pub(super) const fn forfeit(&mut self, bytes: usize) {
        self.forfeited += bytes as u64;
    }

    /// Cuts off the first consecutive bytes, at most `most`.
    pub(super) fn cut_first(&mut self, most: usize) -> (Option<Piece>, usize) {
        if self.chunks.is_empty() {
            return (None, 0);
        }
        let (run, charge) = self.cut_run(most);
        (Some(run), charge)
    }

    /// Cuts off at most `most` bytes and adds them to `pieces`; gives what they were charged with.
    pub(super) fn cut(&mut self, most: usize, pieces: &mut Vec<Piece>) -> usize {
        let mut charge = 0;
        let mut room = most;
        while room > 0 && !self.chunks.is_empty() {
            let (run, run_charge) = self.cut_run(room);
            room -= run.data.len();
            charge += run_charge;
            pieces.push(run);
        }
        charge
    }

    /// Cuts off consecutive bytes: up to `most`, up to the next gap.
    fn cut_run(&mut self, most: usize) -> (Piece, usize) {
        if self.chunks.len() == 1
            && self.chunks.front().is_some_and(|only| only.bytes.len() <= most)
            && let Some(Chunks { offset, bytes, times }) = self.chunks.pop_front()
        {
            // A short leg: what was handed over goes on as it is.
            self.waiting -= bytes.len();
            let charge = bytes.len() + times.len() * EVENT_BYTES;
            return (piece(self.leg, offset, bytes, &times), charge);
        }
        let mut parts: Vec<Bytes> = Vec::new();
        let mut times = Vec::new();
        let mut length = 0;
        let start = self.chunks.front().map_or(0, |chunk| chunk.offset);
        while length < most
            && let Some(chunk) = self.chunks.front_mut()
            && chunk.offset == start + length as u64
        {
            let taken = chunk.bytes.split_to(chunk.bytes.len().min(most - length));
            chunk.offset += taken.len() as u64;
            let begun = chunk.times.partition_point(|time| time.offset < chunk.offset);
            times.extend(chunk.times.drain(..begun));
            length += taken.len();
            parts.push(taken);
            if chunk.bytes.is_empty() {
                self.chunks.pop_front();
            }
        }
        self.waiting -= length;
        (piece(self.leg, start, join(parts, length), &times), length + times.len() * EVENT_BYTES)
    }

    /// Hashes pieces that go out before the leg's end is known.
    pub(super) fn hash(&mut self, pieces: &[Piece]) {
        if !pieces.is_empty() && !self.gap {
            let hasher = self.hasher.get_or_insert_default();
            pieces.iter().for_each(|piece| {
                hasher.update(&piece.data);
            });
        }
    }

    /// What is known of the whole leg; `last` are the pieces that were not hashed yet, `missing` the bytes that passed
    /// without being handed over.
    pub(super) fn summary(
        &mut self,
        last: &[Piece],
        missing: NotHandedOver,
        is_withheld: bool,
    ) -> LegSummary {
        let lost = missing.lost + missing.beyond;
        let (hash, stored_hash) = if self.gap || missing.withheld + lost > 0 {
            (Vec::new(), Vec::new())
        } else {
            let stored = match (self.hasher.is_some(), last) {
                (false, []) => blake3::hash(b""),
                (false, [only]) => blake3::hash(&only.data),
                _ => {
                    self.hash(last);
                    self.hasher.get_or_insert_default().finalize()
                }
            };
            let written = |hash: blake3::Hash| hash.as_bytes().to_vec();
            match self.passed.as_ref().map(|passed| passed.finalize()) {
                Some(passed) if passed != stored => (written(passed), written(stored)),
                _ => (written(stored), Vec::new()),
            }
        };
        LegSummary {
            leg: u32::from(self.leg.number()),
            length: self.came + missing.withheld + lost,
            hash,
            lost: lost + self.forfeited,
            trailers: Vec::new(),
            withheld: is_withheld,
            stored_hash,
        }
    }
}

fn join(mut parts: Vec<Bytes>, length: usize) -> Bytes {
    if parts.len() == 1 {
        return parts.pop().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(length);
    parts.iter().for_each(|part| whole.extend_from_slice(part));
    whole.freeze()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use verbatim_proto::Assembly;

    use super::*;
    use crate::capture::HeadBytes;
    use crate::config::Redaction;
    use crate::redact::BodyKeys;

    /// What is cut off, and what that was charged with.
    fn cut(buffer: &mut LegBuffer, most: usize) -> (Vec<Piece>, usize) {
        let mut pieces = Vec::new();
        let charge = buffer.cut(most, &mut pieces);
        (pieces, charge)
    }

    fn redacting() -> LegBuffer {
        let keys = Arc::new(BodyKeys::new(&Redaction::default()).unwrap());
        let mut buffer = LegBuffer::new(Leg::ClientResponse);
        buffer.redact_by(BodyRedactor::of(&keys, &HeadBytes::default()));
        buffer
    }

    proptest! {
        #[test]
        fn whatever_is_cut_off_when_comes_together_and_hashes_right(
            chunks in proptest::collection::vec((1usize..300, 0usize..500), 0..30),
        ) {
            let mut buffer = LegBuffer::new(Leg::ClientResponse);
            let (mut assembly, mut sent, mut times, mut charged) = (Assembly::default(), Vec::new(), Vec::new(), 0);
            for (at, (length, most)) in chunks.into_iter().enumerate() {
                let bytes: Vec<u8> = (0..length).map(|index| (index + at) as u8).collect();
                let offset = sent.len() as u64;
                // Some come as two chunks in one.
                let mut pair = vec![ChunkTime { offset, at_us: at as u64 }];
                if length > 100 {
                    pair.push(ChunkTime { offset: offset + 50, at_us: at as u64 });
                }
                times.extend(&pair);
                buffer.push(offset, Bytes::from(bytes.clone()), pair);
                sent.extend(bytes);
                let (pieces, charge) = cut(&mut buffer, most);
                prop_assert!(pieces.iter().map(|piece| piece.data.len()).sum::<usize>() <= most);
                charged += charge;
                buffer.hash(&pieces);
                pieces.into_iter().for_each(|piece| assembly.add(piece));
            }
            let (last, charge) = cut(&mut buffer, usize::MAX);
            let summary = buffer.summary(&last, NotHandedOver::default(), false);
            last.into_iter().for_each(|piece| assembly.add(piece));
            prop_assert_eq!(charged + charge, sent.len() + times.len() * EVENT_BYTES);
            prop_assert_eq!(summary.length, sent.len() as u64);
            prop_assert_eq!(summary.hash.to_vec(), blake3::hash(&sent).as_bytes().to_vec());
            let (bytes, timeline) = assembly.finish();
            prop_assert_eq!(bytes.to_vec(), sent);
            prop_assert_eq!(timeline.chunks, times);
        }
    }

    proptest! {
        #[test]
        fn what_passed_and_what_is_recorded_are_hashed_however_they_come(
            fields in proptest::collection::vec(("access_token|content", "[a-z]{0,40}"), 0..9),
            chunks in proptest::collection::vec((1usize..40, 0usize..80), 40),
        ) {
            let fields: Vec<_> = fields.iter().map(|(name, text)| format!("{{\"{name}\":\"{text}\"}}")).collect();
            let body = format!("[{}]", fields.join(","));
            let mut whole = redacting();
            whole.push(0, Bytes::from(body.clone()), Vec::new());
            let expected = cut(&mut whole, usize::MAX).0.remove(0).data;

            let (mut buffer, mut assembly, mut charged, mut at) = (redacting(), Assembly::default(), 0, 0);
            let mut lengths = chunks.into_iter().cycle();
            let mut count = 0;
            while at < body.len() {
                let (length, most) = lengths.next().unwrap();
                let to = (at + length).min(body.len());
                let time = ChunkTime { offset: at as u64, at_us: 1 };
                buffer.push(at as u64, Bytes::copy_from_slice(&body.as_bytes()[at..to]), vec![time]);
                (at, count) = (to, count + 1);
                let (pieces, charge) = cut(&mut buffer, most);
                charged += charge;
                buffer.hash(&pieces);
                pieces.into_iter().for_each(|piece| assembly.add(piece));
            }
            let (last, charge) = cut(&mut buffer, usize::MAX);
            let summary = buffer.summary(&last, NotHandedOver::default(), false);
            last.into_iter().for_each(|piece| assembly.add(piece));
            prop_assert_eq!(charged + charge, body.len() + count * EVENT_BYTES);
            prop_assert_eq!(summary.length, body.len() as u64);
            let hash = |bytes: &[u8]| blake3::hash(bytes).as_bytes().to_vec();
            prop_assert_eq!(summary.hash.to_vec(), hash(body.as_bytes()));
            let is_changed = expected != body.as_bytes();
            let stored = if is_changed { hash(&expected) } else { Vec::new() };
            prop_assert_eq!(summary.stored_hash.to_vec(), stored);
            prop_assert_eq!(assembly.finish().0, expected);
        }
    }

    #[test]
    fn after_a_gap_nothing_of_a_document_is_shown() {
        let mut buffer = redacting();
        buffer.push(0, Bytes::from_static(b"{\"access_token\":\"abc"), Vec::new());
        buffer.push(100, Bytes::from_static(b"def\"}"), Vec::new());
        let (pieces, _) = cut(&mut buffer, usize::MAX);
        let shown: Vec<_> = pieces.iter().map(|piece| piece.data.as_ref()).collect();
        assert_eq!(shown, [b"{\"access_token\":\"red".as_slice(), b"*****"]);
        let summary = buffer.summary(&pieces, NotHandedOver { lost: 80, ..NotHandedOver::default() }, false);
        assert_eq!((summary.length, summary.hash.len(), summary.stored_hash.len()), (105, 0, 0));
    }

    #[test]
    fn a_gap_parts_the_pieces_and_leaves_no_hash() {
        let mut buffer = LegBuffer::new(Leg::ClientRequest);
        buffer.push(0, Bytes::from_static(b"ab"), vec![ChunkTime { offset: 0, at_us: 1 }]);
        buffer.push(5, Bytes::from_static(b"cd"), vec![ChunkTime { offset: 5, at_us: 2 }]);
        let (pieces, _) = cut(&mut buffer, 100);
        let offsets: Vec<_> = pieces.iter().map(|piece| (piece.offset, piece.data.len())).collect();
        assert_eq!(offsets, [(0, 2), (5, 2)]);
        let summary = buffer.summary(&pieces, NotHandedOver { lost: 3, ..NotHandedOver::default() }, false);
        assert_eq!((summary.length, summary.lost, summary.hash.len()), (7, 3, 0));
    }
}
