//! How many bytes whoever was lent them holds at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// Counts bytes that are held.
#[derive(Debug, Default)]
pub(crate) struct Held {
    now: AtomicU64,
    most: AtomicU64,
}

/// So many bytes are held until this is dropped.
#[derive(Debug)]
pub(crate) struct Holding {
    held: Arc<Held>,
    bytes: u64,
}

struct Lent {
    bytes: Bytes,
    _holding: Holding,
}

impl Held {
    /// Counts so many.
    pub(crate) fn hold(self: &Arc<Self>, bytes: u64) -> Holding {
        let now = self.now.fetch_add(bytes, Ordering::SeqCst) + bytes;
        self.most.fetch_max(now, Ordering::SeqCst);
        Holding { held: Arc::clone(self), bytes }
    }

    /// The same bytes, counted until the last who has some of them drops them.
    pub(crate) fn lend(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        let _holding = self.hold(bytes.len() as u64);
        Bytes::from_owner(Lent { bytes, _holding })
    }

    /// The most that were held at once.
    pub(crate) fn most(&self) -> u64 {
        self.most.load(Ordering::SeqCst)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.held.now.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_is_held_until_the_last_part_of_it_is_dropped() {
        let held = Arc::new(Held::default());
        let first = held.lend(Bytes::from_static(b"abcd"));
        let part = first.slice(1..2);
        drop(first);
        let second = held.lend(Bytes::from_static(b"ef"));
        assert_eq!((held.most(), &part[..], &second[..]), (6, &b"b"[..], &b"ef"[..]));
        drop((part, second));
        assert_eq!(held.now.load(Ordering::SeqCst), 0);
        drop(held.hold(5));
        assert_eq!(held.most(), 6);
    }
}
