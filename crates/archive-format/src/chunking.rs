//! Cutting bodies into pieces that come again where content comes again.

use std::ops::Range;

use fastcdc::v2020::{FastCDC, Normalization};

/// A body below this is not looked for again: an index of small bodies costs more writes than it saves.
const UNSHARED_BELOW: usize = 4 * 1024;
const SMALLEST: usize = 512;
/// What an agent's conversation sends again is all but the last piece, so pieces are small; but each has an entry in
/// an index, whose every change writes a page.
const AVERAGE: usize = 2 * 1024;
const LARGEST: usize = 8 * 1024;

/// Identifies a piece of one tenant: whoever can't know the tenant can't tell what it holds.
pub type Address = [u8; 16];

/// Whether bodies of this length are stored without looking for the same bytes.
pub fn is_small(length: usize) -> bool {
    length < UNSHARED_BELOW
}

/// The stretches of a body that are looked for. The same stretch of bytes is cut alike wherever it stands, but for its
/// ends (FastCDC, normalised, as in Xia et al. 2020).
pub fn cut(body: &[u8]) -> Vec<Range<usize>> {
    FastCDC::with_level(body, SMALLEST, AVERAGE, LARGEST, Normalization::Level3)
        .map(|chunk| chunk.offset..chunk.offset + chunk.length)
        .collect()
}

/// Names pieces of one tenant. They are never shared between tenants: nobody can find out, from what an upload
/// costs, whether another has the same bytes.
pub struct Tenant {
    key: [u8; 32],
}

impl Tenant {
    /// For the tenant of this name.
    pub fn new(name: &str) -> Self {
        Self { key: blake3::derive_key("verbatim archive tenant 1", name.as_bytes()) }
    }

    /// The address of one of its pieces.
    pub fn address(&self, piece: &[u8]) -> Address {
        let mut address = [0; 16];
        address.copy_from_slice(&blake3::keyed_hash(&self.key, piece).as_bytes()[..16]);
        address
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn a_grown_body_shares_all_but_its_ends() {
        let tenant = Tenant::new("p");
        let body = noise(1, 600_000);
        let pieces = |body: &[u8]| -> HashSet<Address> {
            cut(body).into_iter().map(|range| tenant.address(&body[range])).collect()
        };
        let (old, grown) =
            (pieces(&body), pieces(&[b"{\"new\":1," as &[u8], &body, &noise(2, 9_000)].concat()));
        assert!(old.len() > 50);
        assert!(grown.intersection(&old).count() >= old.len() - 3, "{} of {}", grown.len(), old.len());
    }

    #[test]
    fn tenants_share_no_address() {
        assert_ne!(Tenant::new("a").address(b"same"), Tenant::new("b").address(b"same"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_pieces_of_a_body_are_the_body(length in 0..400_000_usize, seed: u64) {
            let body = noise(seed, length);
            let pieces = cut(&body);
            let joined: Vec<u8> = pieces.iter().flat_map(|range| &body[range.clone()]).copied().collect();
            prop_assert_eq!(joined, body);
            prop_assert!(pieces.iter().all(|range| range.len() <= LARGEST));
        }
    }
}
