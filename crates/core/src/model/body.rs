//! Bodies: their bytes, their lengths and hashes, and when each chunk passed.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Leg;

/// When a chunk of a body passed the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkTime {
    /// Where in the body the chunk starts, in bytes.
    pub offset: u64,
    /// When it passed, in microseconds (monotonic) since the exchange began.
    pub at_us: u64,
}

/// The chunks of one leg, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// One entry a chunk; offsets and times never fall.
    pub chunks: Vec<ChunkTime>,
}

impl Timeline {
    /// When the byte at `offset` had passed, in microseconds since the exchange began.
    pub fn at(&self, offset: u64) -> Option<u64> {
        let after = self.chunks.partition_point(|chunk| chunk.offset <= offset);
        Some(self.chunks.get(after.checked_sub(1)?)?.at_us)
    }
}

/// What is known of one leg's body, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LegInfo {
    /// Which leg.
    pub leg: Leg,
    /// Bytes that passed on the wire.
    pub length: u64,
    /// Bytes that are stored; less than `length` where some were lost or not to be recorded.
    pub stored: u64,
    /// BLAKE3 of what passed on the wire; `None` where nobody saw the whole of it.
    #[serde(serialize_with = "as_hex")]
    pub hash: Option<[u8; 32]>,
    /// BLAKE3 of what is stored; re-checked when it is read.
    #[serde(serialize_with = "as_hex")]
    pub stored_hash: Option<[u8; 32]>,
    /// Bytes that were captured but declared lost.
    pub lost: u64,
}

/// One leg's body to be archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegBody {
    /// What is known of it. `stored` is the length of `bytes` and `stored_hash` their hash.
    pub info: LegInfo,
    /// The bytes to store; where some are missing, those that are there, in order.
    pub bytes: Bytes,
    /// When each chunk passed.
    pub timeline: Timeline,
}

fn as_hex<S: serde::Serializer>(hash: &Option<[u8; 32]>, serializer: S) -> Result<S::Ok, S::Error> {
    match hash {
        Some(bytes) => serializer.collect_str(&blake3::Hash::from_bytes(*bytes).to_hex()),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_tells_when_a_byte_passed() {
        let timeline =
            Timeline { chunks: vec![ChunkTime { offset: 0, at_us: 10 }, ChunkTime { offset: 5, at_us: 20 }] };
        assert_eq!(timeline.at(4), Some(10));
        assert_eq!(timeline.at(5), Some(20));
        assert_eq!(timeline.at(500), Some(20));
        assert_eq!(Timeline::default().at(0), None);
    }
}
