//! Counting and hashing a body as it passes.

use bytes::{Bytes, BytesMut};

use super::entry::{BodyDigest, Digest};

/// Counts and hashes a body that comes in pieces. Most bodies come in one, so the hasher, which is large, is
/// only made for the second.
#[derive(Default)]
pub(crate) struct Tally {
    bytes: u64,
    first: Option<Bytes>,
    hasher: Option<Box<blake3::Hasher>>,
    kept: Option<BytesMut>,
}

impl Tally {
    pub(crate) fn new(keep_body: bool) -> Self {
        Self { kept: keep_body.then(BytesMut::new), ..Self::default() }
    }

    /// The tally of a body whose bytes so far lie in one piece.
    pub(crate) fn of(bytes: &Bytes, keep_body: bool) -> Self {
        let mut tally = Self::new(keep_body);
        tally.push(bytes);
        tally
    }

    pub(crate) fn push(&mut self, piece: &Bytes) {
        if piece.is_empty() {
            return;
        }
        self.bytes += piece.len() as u64;
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(piece);
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(piece);
        } else if let Some(first) = self.first.take() {
            let mut hasher = Box::<blake3::Hasher>::default();
            hasher.update(&first).update(piece);
            self.hasher = Some(hasher);
        } else {
            self.first = Some(piece.clone());
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn digest(self) -> BodyDigest {
        let hash = match &self.hasher {
            Some(hasher) => Digest(hasher.finalize().into()),
            None => Digest::of(self.first.as_deref().unwrap_or_default()),
        };
        BodyDigest { bytes: self.bytes, blake3: hash, body: self.kept.map(BytesMut::freeze) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_the_same_however_the_body_is_cut() {
        let body: Bytes = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
        for piece in [1, 7, 4096, 40_000] {
            let mut tally = Tally::new(true);
            for start in (0..body.len()).step_by(piece) {
                tally.push(&body.slice(start..(start + piece).min(body.len())));
            }
            let digest = tally.digest();
            assert_eq!(
                digest,
                BodyDigest { bytes: 40_000, blake3: Digest::of(&body), body: Some(body.clone()) }
            );
        }
        assert_eq!(Tally::default().digest().blake3, Digest::of(b""));
    }
}
