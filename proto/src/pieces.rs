//! Bodies as consecutive pieces, and pieces as bodies.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use verbatim_core::model::{ChunkTime, Leg, Timeline};

use crate::v1::Piece;

/// The most body bytes that one message carries: half of what NATS takes by default, and no one raises that.
pub const PART_BYTES: usize = 512 * 1024;
/// So many chunks of a leg are recorded with their times, three a second for a day: whoever reads a record holds them all.
pub const TIMED_CHUNKS: usize = 1 << 18;

/// A rising list as first value and differences, which protobuf stores in a byte or two each.
pub fn delta_encode(values: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut last = 0;
    values
        .into_iter()
        .map(|value| {
            let difference = value.wrapping_sub(last);
            last = value;
            difference
        })
        .collect()
}

/// The list that [`delta_encode`] coded.
pub fn delta_decode(differences: &[u64]) -> impl Iterator<Item = u64> {
    let mut last: u64 = 0;
    differences.iter().map(move |difference| {
        last = last.wrapping_add(*difference);
        last
    })
}

/// A piece of a leg with the time of each chunk that begins in it.
pub fn piece(leg: Leg, offset: u64, data: Bytes, chunks: &[ChunkTime]) -> Piece {
    Piece {
        leg: u32::from(leg.number()),
        offset,
        data,
        chunk_offsets: delta_encode(chunks.iter().map(|chunk| chunk.offset)),
        chunk_times: delta_encode(chunks.iter().map(|chunk| chunk.at_us)),
    }
}

/// The chunks that a piece names; garbage in lengths is cut to the shorter list.
pub fn piece_chunks(piece: &Piece) -> impl Iterator<Item = ChunkTime> {
    delta_decode(&piece.chunk_offsets)
        .zip(delta_decode(&piece.chunk_times))
        .map(|(offset, at_us)| ChunkTime { offset, at_us })
}

/// Cuts consecutive bytes of a leg, which begin at `offset`, into pieces of at most `most` bytes (at least one).
/// A chunk's time goes with the piece that holds its first byte. Without bytes there is no piece.
pub fn split(leg: Leg, offset: u64, data: &Bytes, chunks: &[ChunkTime], most: usize) -> Vec<Piece> {
    let most = most.max(1);
    let mut rest = chunks;
    (0..data.len())
        .step_by(most)
        .map(|from| {
            let to = (from + most).min(data.len());
            let end = offset + to as u64;
            let here = rest.partition_point(|chunk| chunk.offset < end);
            let (mine, later) = rest.split_at(here);
            rest = later;
            piece(leg, offset + from as u64, data.slice(from..to), mine)
        })
        .collect()
}

/// Bytes of a leg that no piece brought: a range of offsets.
pub type Hole = Range<u64>;

/// Puts the pieces of one leg together, in whatever order and however often they come. What came first for an
/// offset stays.
#[derive(Debug, Default, Clone)]
pub struct Assembly {
    pieces: BTreeMap<u64, Bytes>,
    chunks: BTreeMap<u64, u64>,
    present: u64,
}

impl Assembly {
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
            if let Some((start, known)) = self.pieces.range(..=offset).next_back() {
                let covered = start + known.len() as u64;
                if covered > offset {
                    let skip = covered.min(end) - offset;
                    data = data.slice(usize::try_from(skip).unwrap_or(data.len())..);
                    offset += skip;
                    continue;
                }
            }
            let next = self.pieces.range(offset..end).next().map_or(end, |(start, _)| *start);
            let fresh = usize::try_from(next - offset).unwrap_or(data.len());
            self.present += fresh as u64;
            self.pieces.insert(offset, data.split_to(fresh));
            offset = next;
        }
    }

    /// Whether no piece came.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The offset behind the last byte that came.
    pub fn end(&self) -> u64 {
        self.pieces.last_key_value().map_or(0, |(start, data)| start + data.len() as u64)
    }

    /// How many bytes came.
    pub const fn present(&self) -> u64 {
        self.present
    }

    /// What is missing of a body of `length` bytes.
    pub fn holes(&self, length: u64) -> Vec<Hole> {
        let mut holes = Vec::new();
        let mut at = 0;
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
        let total: usize = self.pieces.values().map(Bytes::len).sum();
        let mut parts = self.pieces.into_values();
        let bytes = match (parts.len(), parts.next()) {
            (0, _) | (_, None) => Bytes::new(),
            (1, Some(only)) => only,
            (_, Some(first)) => {
                let mut whole = BytesMut::with_capacity(total);
                whole.extend_from_slice(&first);
                parts.for_each(|part| whole.extend_from_slice(&part));
                whole.freeze()
            }
        };
        (bytes, Timeline { chunks })
    }

    /// The bytes from the body's start up to the first hole, and the chunks' times up to there.
    pub fn finish_prefix(mut self) -> (Bytes, Timeline) {
        let mut at = 0;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        ) {
            let (times, length) = chunks(&lengths);
            let whole = body(length);
            let mut pieces = split(Leg::ClientResponse, 0, &whole, &times, most);
            pieces.extend(pieces.clone().into_iter().step_by(3));
            pieces.sort_by_key(|piece| piece.offset.wrapping_add(1).wrapping_mul(order | 1));
            let mut assembly = Assembly::default();
            pieces.into_iter().for_each(|piece| assembly.add(piece));
            prop_assert!(assembly.holes(length as u64).is_empty());
            let (bytes, timeline) = assembly.finish();
            prop_assert_eq!(bytes, whole);
            prop_assert_eq!(timeline.chunks, times);
        }

        #[test]
        fn overlapping_pieces_never_duplicate_bytes(
            ranges in proptest::collection::vec((0usize..400, 1usize..100), 1..30),
        ) {
            let whole = body(500);
            let mut assembly = Assembly::default();
            let mut present = [false; 500];
            for (from, length) in ranges {
                let to = (from + length).min(500);
                present[from..to].fill(true);
                assembly.add(piece(Leg::ClientRequest, from as u64, whole.slice(from..to), &[]));
            }
            let expected: Vec<u8> = (0..500).filter(|at| present[*at]).map(|at| whole[at]).collect();
            prop_assert_eq!(assembly.present(), expected.len() as u64);
            let missing: u64 = assembly.holes(500).iter().map(|hole| hole.end - hole.start).sum();
            prop_assert_eq!(missing, 500 - expected.len() as u64);
            let prefix = present.iter().take_while(|there| **there).count();
            prop_assert_eq!(assembly.clone().finish_prefix().0, whole.slice(..prefix));
            prop_assert_eq!(assembly.finish().0.to_vec(), expected);
        }

        #[test]
        fn rising_lists_survive_their_coding(mut values in proptest::collection::vec(any::<u64>(), 0..50)) {
            values.sort_unstable();
            let coded = delta_encode(values.iter().copied());
            prop_assert_eq!(delta_decode(&coded).collect::<Vec<_>>(), values);
        }
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
