//! Memory for one long body.

use std::fmt;

use bytes::Bytes;
use memmap2::{MmapMut, MmapOptions};

/// No body is longer; who says so must not reserve more.
const LONGEST: usize = 4 << 30;

/// The beginning of a body, in memory that is mapped for it alone.
///
/// It takes what was filled in, however much room there is, and goes back to the system when the last who reads it drops
/// it, whichever thread that is. An allocator keeps what another thread frees until the first one comes by; of long
/// bodies, that would be more than all that are in use.
pub(crate) struct Whole {
    memory: MmapMut,
    filled: usize,
}

impl Whole {
    /// With room for so many bytes; `None` where the system has none.
    pub(crate) fn with_room(bytes: usize) -> Option<Self> {
        if bytes > LONGEST {
            return None;
        }
        let memory = MmapOptions::new().len(bytes).no_reserve_swap().map_anon().ok()?;
        Some(Self { memory, filled: 0 })
    }

    /// Bytes that are in it.
    pub(crate) const fn len(&self) -> usize {
        self.filled
    }

    /// Whether so many more have room.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        bytes <= self.memory.len() - self.filled
    }

    /// Appends bytes that [fit](Self::fits).
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        self.memory[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
    }

    /// The bytes that are in it, shared from now on.
    pub(crate) fn into_bytes(self) -> Bytes {
        let filled = self.filled;
        Bytes::from_owner(self.memory).slice(..filled)
    }
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.filled, self.memory.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_filled_in_is_what_is_read_however_much_room_there_was() {
        let mut whole = Whole::with_room(1 << 30).unwrap();
        whole.push(b"ab");
        whole.push(b"c");
        assert_eq!(whole.len(), 3);
        assert!(whole.fits((1 << 30) - 3) && !whole.fits((1 << 30) - 2));
        assert_eq!(whole.into_bytes(), "abc");
    }

    #[test]
    fn room_for_more_than_any_body_has_is_refused() {
        assert!(Whole::with_room(usize::MAX).is_none());
    }
}
