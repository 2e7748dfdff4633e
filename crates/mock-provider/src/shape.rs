//! Puts directives over an answer's body: compression, cuts, faults.

use std::io;

use bytes::Bytes;

use crate::answer::{Frames, Payload};
use crate::body::Source;
use crate::compress::compress;
use crate::directives::{Directives, FaultPoint};

/// Nothing is handed over in larger pieces: what is handed over counts as sent, and the HTTP layer copies it.
const LARGEST_WRITE: usize = 64 << 10;

/// A body ready to be sent.
pub(crate) struct Shaped {
    pub(crate) source: Source,
    /// Whether the head tells its length.
    pub(crate) sized: bool,
    /// Whether it is compressed as directed; a generated body never is.
    pub(crate) encoded: bool,
}

/// Applies directives to everything but an echo, which has no bytes yet.
pub(crate) fn shape(payload: Payload, seed: u64, directives: &Directives) -> io::Result<Option<Shaped>> {
    let shaped = match payload {
        Payload::Echo => return Ok(None),
        Payload::Random(length) => Shaped {
            source: Source::Random {
                state: seed | 1,
                left: length,
                write: directives.chunk_bytes.unwrap_or(LARGEST_WRITE).min(LARGEST_WRITE),
            },
            sized: !directives.trailers,
            encoded: false,
        },
        Payload::Whole(bytes) => {
            let ends = vec![bytes.len()];
            cut(Frames { bytes, ends }, !directives.trailers, directives)?
        }
        Payload::Frames(frames) => cut(frames, false, directives)?,
    };
    Ok(Some(shaped))
}

fn cut(Frames { mut bytes, mut ends }: Frames, sized: bool, directives: &Directives) -> io::Result<Shaped> {
    let encoded = directives.encoding.is_some() && !bytes.is_empty();
    if let Some(encoding) = directives.encoding.filter(|_| encoded) {
        bytes = compress(&bytes, &mut ends, encoding)?;
    }
    let length = bytes.len();
    if let Some(size) = directives.chunk_bytes {
        ends = (size..length).step_by(size).chain([length]).collect();
    } else if sized && let Some(pieces) = pieces_of_a_whole(directives) {
        ends = equal_cuts(length, pieces);
    }
    ends = no_longer_than(&ends, LARGEST_WRITE);
    if directives.split {
        ends = odd_cuts(&bytes, &ends);
    }
    // An empty write would be taken for the body's end.
    ends.dedup();
    ends.retain(|end| *end > 0);
    let bytes = Bytes::from(bytes);
    let source = if ends.len() <= 1 {
        Source::Whole(bytes)
    } else {
        Source::Cut { bytes, ends: ends.into(), next: 0 }
    };
    Ok(Shaped { source, sized, encoded })
}

/// A whole body goes out in one write, unless asked otherwise or a fault is to strike in its middle.
fn pieces_of_a_whole(directives: &Directives) -> Option<usize> {
    let for_fault = match directives.fault.map(|fault| fault.point) {
        Some(FaultPoint::Chunks(chunks)) => Some(chunks + 1),
        Some(FaultPoint::Head) | None => None,
    };
    directives.chunks.max(for_fault)
}

fn equal_cuts(length: usize, pieces: usize) -> Vec<usize> {
    (1..=pieces)
        .map(|piece| usize::try_from(length as u128 * piece as u128 / pieces as u128).unwrap_or(length))
        .collect()
}

/// The same cuts, and more where two are further apart than this.
fn no_longer_than(ends: &[usize], longest: usize) -> Vec<usize> {
    let starts = [0].into_iter().chain(ends.iter().copied());
    starts.zip(ends).flat_map(|(start, end)| (start + longest..*end).step_by(longest).chain([*end])).collect()
}

/// Moves every cut by a byte or two, and cuts every UTF-8 sequence of the first kilobytes in two.
fn odd_cuts(bytes: &[u8], ends: &[usize]) -> Vec<usize> {
    let length = bytes.len();
    let moved = ends.iter().enumerate().map(|(index, end)| (end + 1 + index % 3).min(length));
    let within = (1..length.min(16 << 10)).filter(|at| bytes[*at] & 0xc0 == 0x80);
    let mut cuts: Vec<usize> = moved.chain(within).chain([length]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}
