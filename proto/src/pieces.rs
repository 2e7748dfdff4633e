//! Bodies as consecutive pieces.

use bytes::Bytes;
use verbatim_core::model::{ChunkTime, Leg};

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rising_lists_survive_their_coding(mut values in proptest::collection::vec(any::<u64>(), 0..50)) {
            values.sort_unstable();
            let coded = delta_encode(values.iter().copied());
            prop_assert_eq!(delta_decode(&coded).collect::<Vec<_>>(), values);
        }
    }
}
