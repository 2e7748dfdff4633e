//! Pieces as the body that they were cut from.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use verbatim_core::model::{ChunkTime, Timeline};

use crate::pieces::{TIMED_CHUNKS, piece_chunks};
use crate::v1::Piece;
use crate::whole::Whole;

/// From this length on a body is put together in memory of its own.
const LONG: u64 = 1 << 20;

/// Bytes of a leg that no piece brought: a range of offsets.
pub type Hole = Range<u64>;

/// Puts the pieces of one leg together, in whatever order and however often they come. What came first for an
/// offset stays.
#[derive(Debug, Default)]
pub struct Assembly {
    /// A long body from its first byte on: what comes in order is copied there at once, and its message let go.
    whole: Option<Whole>,
    /// What stands alone, or behind a hole of a long body. Pieces don't overlap.
    pieces: BTreeMap<u64, Bytes>,
    chunks: BTreeMap<u64, u64>,
    present: u64,
}

impl Assembly {
    /// Nothing yet of a body that is said to be of so many bytes.
    pub fn of_length(length: u64) -> Self {
        let room = usize::try_from(length).ok().filter(|_| length >= LONG);
        Self { whole: room.and_then(Whole::with_room), ..Self::default() }
    }

    /// Takes a piece in; bytes that are there already are not replaced.
    pub fn add(&mut self, piece: Piece) {
        // Each chunk that is named begins in the piece, at a byte of its own.
        for chunk in piece_chunks(&piece).take(piece.data.len()) {
            if self.chunks.len() < TIMED_CHUNKS {
                self.chunks.entry(chunk.offset).or_insert(chunk.at_us);
            }
        }
        self.add_bytes(piece.offset, piece.data);
    }

    fn add_bytes(&mut self, mut offset: u64, mut data: Bytes) {
        let Some(end) = offset.checked_add(data.len() as u64) else { return };
        // Each turn of the loop places the part before the next known piece and skips what that one covers.
        while offset < end {
            let covered = self.covered(offset);
            if covered > offset {
                let skip = covered.min(end) - offset;
                data = data.slice(usize::try_from(skip).unwrap_or(data.len())..);
                offset += skip;
                continue;
            }
            let next = self.pieces.range(offset..end).next().map_or(end, |(start, _)| *start);
            let fresh = usize::try_from(next - offset).unwrap_or(data.len());
            self.present += fresh as u64;
            self.place(offset, data.split_to(fresh));
            offset = next;
        }
    }

    /// Where what is there at an offset ends; at most `offset` if nothing is.
    fn covered(&self, offset: u64) -> u64 {
        let before = self.pieces.range(..=offset).next_back();
        before.map_or(0, |(start, known)| start + known.len() as u64).max(self.prefix())
    }

    /// Bytes of a long body that are put together.
    fn prefix(&self) -> u64 {
        self.whole.as_ref().map_or(0, |whole| whole.len() as u64)
    }

    /// Keeps bytes that nothing covers.
    fn place(&mut self, offset: u64, data: Bytes) {
        self.pieces.insert(offset, data);
        let Some(whole) = &mut self.whole else { return };
        while let Some(next) = self.pieces.first_entry() {
            if *next.key() != whole.len() as u64 || !whole.fits(next.get().len()) {
                break;
            }
            whole.push(&next.remove());
        }
    }

    /// Whether no piece came.
    pub fn is_empty(&self) -> bool {
        self.present == 0
    }

    /// The offset behind the last byte that came.
    pub fn end(&self) -> u64 {
        self.pieces.last_key_value().map_or(self.prefix(), |(start, data)| start + data.len() as u64)
    }

    /// How many bytes came.
    pub const fn present(&self) -> u64 {
        self.present
    }

    /// What is missing of a body of `length` bytes.
    pub fn holes(&self, length: u64) -> Vec<Hole> {
        let mut holes = Vec::new();
        let mut at = self.prefix();
        for (start, data) in self.pieces.range(..length) {
            if *start > at {
                holes.push(at..*start);
            }
            at = start + data.len() as u64;
        }
        if at < length {
            holes.push(at..length);
        }
        holes
    }

    /// The bytes that came, in order (holes closed up), and the chunks' times.
    pub fn finish(self) -> (Bytes, Timeline) {
        let chunks = self.chunks.into_iter().map(|(offset, at_us)| ChunkTime { offset, at_us }).collect();
        (joined(self.whole, self.pieces), Timeline { chunks })
    }

    /// The bytes from the body's start up to the first hole, and the chunks' times up to there.
    pub fn finish_prefix(mut self) -> (Bytes, Timeline) {
        let mut at = self.prefix();
        for (start, data) in &self.pieces {
            if *start != at {
                break;
            }
            at = start + data.len() as u64;
        }
        self.pieces.retain(|start, _| *start < at);
        self.present = at;
        self.chunks.retain(|offset, _| *offset < at);
        self.finish()
    }
}

/// All bytes in one stretch.
fn joined(whole: Option<Whole>, mut pieces: BTreeMap<u64, Bytes>) -> Bytes {
    let more: usize = pieces.values().map(Bytes::len).sum();
    let begun = whole.filter(|whole| whole.len() > 0);
    let mut parts = std::iter::from_fn(move || pieces.pop_first()).map(|(_, part)| part);
    match begun {
        Some(mut whole) if whole.fits(more) => {
            parts.for_each(|part| whole.push(&part));
            whole.into_bytes()
        }
        Some(whole) => {
            let first = whole.into_bytes();
            join(first.len() + more, std::iter::once(first).chain(parts))
        }
        None => match parts.next() {
            None => Bytes::new(),
            Some(first) if first.len() == more => first,
            Some(first) => join(more, std::iter::once(first).chain(parts)),
        },
    }
}

/// Copies parts of so many bytes together, and drops each once it is copied.
fn join(bytes: usize, parts: impl Iterator<Item = Bytes>) -> Bytes {
    let room = (bytes as u64 >= LONG).then_some(bytes);
    match room.and_then(Whole::with_room) {
        Some(mut whole) => {
            parts.for_each(|part| whole.push(&part));
            whole.into_bytes()
        }
        None => {
            let mut joined = BytesMut::with_capacity(bytes);
            parts.for_each(|part| joined.extend_from_slice(&part));
            joined.freeze()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use verbatim_core::model::Leg;

    use super::*;
    use crate::{delta_encode, piece, split};

    /// Of a body that is put together at once, as a long one is; it was said to be so long.
    fn begun(room: usize) -> Assembly {
        Assembly { whole: Some(Whole::with_room(room).unwrap()), ..Assembly::default() }
    }

    fn body(length: usize) -> Bytes {
        (0..length).map(|at| (at * 31 % 251) as u8).collect()
    }

    fn chunks(lengths: &[usize]) -> (Vec<ChunkTime>, usize) {
        let mut offset = 0;
        let times = lengths
            .iter()
            .enumerate()
            .map(|(index, length)| {
                let chunk = ChunkTime { offset: offset as u64, at_us: index as u64 * 10 };
                offset += length;
                chunk
            })
            .collect();
        (times, offset)
    }

    proptest! {
        #[test]
        fn any_split_in_any_order_with_duplicates_reassembles(
            lengths in proptest::collection::vec(1usize..300, 1..40),
            most in 1usize..500,
            order in any::<u64>(),
            said in proptest::option::of(0..20_000_usize),
        ) {
            let (times, length) = chunks(&lengths);
            let whole = body(length);
            let mut pieces = split(Leg::ClientResponse, 0, &whole, &times, most);
            pieces.extend(pieces.clone().into_iter().step_by(3));
            pieces.sort_by_key(|piece| piece.offset.wrapping_add(1).wrapping_mul(order | 1));
            let mut assembly = said.map_or_else(Assembly::default, begun);
            pieces.into_iter().for_each(|piece| assembly.add(piece));
            prop_assert!(assembly.holes(length as u64).is_empty());
            let (bytes, timeline) = assembly.finish();
            prop_assert_eq!(bytes, whole);
            prop_assert_eq!(timeline.chunks, times);
        }

        #[test]
        fn overlapping_pieces_never_duplicate_bytes(
            ranges in proptest::collection::vec((0usize..400, 1usize..100), 1..30),
            said in proptest::option::of(0..600_usize),
        ) {
            let whole = body(500);
            let assembled = || {
                let mut assembly = said.map_or_else(Assembly::default, begun);
                for (from, length) in &ranges {
                    let data = whole.slice(*from..(from + length).min(500));
                    assembly.add(piece(Leg::ClientRequest, *from as u64, data, &[]));
                }
                assembly
            };
            let mut present = [false; 500];
            for (from, length) in &ranges {
                present[*from..(from + length).min(500)].fill(true);
            }
            let expected: Vec<u8> = (0..500).filter(|at| present[*at]).map(|at| whole[at]).collect();
            let assembly = assembled();
            prop_assert_eq!(assembly.present(), expected.len() as u64);
            prop_assert_eq!(assembly.end(), present.iter().rposition(|there| *there).map_or(0, |at| at as u64 + 1));
            let missing: u64 = assembly.holes(500).iter().map(|hole| hole.end - hole.start).sum();
            prop_assert_eq!(missing, 500 - expected.len() as u64);
            let prefix = present.iter().take_while(|there| **there).count();
            prop_assert_eq!(assembled().finish_prefix().0, whole.slice(..prefix));
            prop_assert_eq!(assembly.finish().0.to_vec(), expected);
        }
    }

    #[test]
    fn a_long_body_keeps_nothing_of_the_messages_that_came_in_order() {
        struct Message(Vec<u8>, #[expect(dead_code, reason = "it is counted")] Arc<()>);
        impl AsRef<[u8]> for Message {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        const PIECE: usize = 100_000;
        let (held, length) = (Arc::new(()), LONG as usize + 1);
        let add = |assembly: &mut Assembly, at: usize| {
            let bytes = Message(vec![at as u8; PIECE.min(length - at * PIECE)], Arc::clone(&held));
            let offset = (at * PIECE) as u64;
            assembly.add(piece(Leg::ClientRequest, offset, Bytes::from_owner(bytes), &[]));
        };
        let mut assembly = Assembly::of_length(length as u64);
        // The last one comes with the end, which is read first.
        for (place, at) in [10, 0, 1, 2, 3, 4, 6, 5, 7, 8, 9].into_iter().enumerate() {
            add(&mut assembly, at);
            let behind_a_hole = usize::from(place < 10) + usize::from(at == 6);
            assert_eq!(Arc::strong_count(&held) - 1, behind_a_hole, "after piece {at}");
        }
        let (bytes, _) = assembly.finish();
        let expected: Vec<u8> = (0..length).map(|at| (at / PIECE) as u8).collect();
        assert!(bytes == expected);
    }

    #[test]
    fn pieces_of_a_body_whose_length_nobody_told_are_joined_however_long_they_are() {
        const PIECE: usize = 1 << 19;
        let mut assembly = Assembly::default();
        for at in [3, 0, 2, 1] {
            let data = vec![at as u8; PIECE];
            assembly.add(piece(Leg::ClientRequest, (at * PIECE) as u64, data.into(), &[]));
        }
        let (bytes, _) = assembly.finish();
        assert!(bytes == (0..4 * PIECE).map(|at| (at / PIECE) as u8).collect::<Vec<_>>());
    }

    #[test]
    fn no_more_chunks_are_kept_than_there_are_bytes_or_than_are_recorded() {
        let mut assembly = Assembly::default();
        let chunk_offsets = delta_encode(0..1000);
        assembly.add(Piece {
            data: body(9),
            chunk_times: chunk_offsets.clone(),
            chunk_offsets,
            ..Piece::default()
        });
        assert_eq!(assembly.chunks.len(), 9);
        let every: Vec<_> =
            (0..TIMED_CHUNKS as u64 + 9).map(|at| ChunkTime { offset: at, at_us: at }).collect();
        assembly.add(piece(Leg::ClientRequest, 0, body(TIMED_CHUNKS + 9), &every));
        assert_eq!(assembly.finish().1.chunks.len(), TIMED_CHUNKS);
    }

    #[test]
    fn an_offset_past_all_numbers_is_ignored() {
        let mut assembly = Assembly::default();
        assembly.add(piece(Leg::ClientRequest, u64::MAX, body(9), &[]));
        assert!(assembly.is_empty());
    }
}
