//! What stands in a record for a credential's bytes.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::MARK;

/// Bytes of a body, and a copy of them once one is changed. Nothing changes its length: offsets and the times of
/// chunks stay true.
#[derive(Debug)]
pub(super) struct Masked<'a> {
    bytes: &'a [u8],
    copy: Option<BytesMut>,
}

impl<'a> Masked<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, copy: None }
    }

    /// Puts the mark over a range, as far as `done` bytes of the same value have not used it up, and asterisks over the
    /// rest.
    pub(super) fn mask(&mut self, range: Range<usize>, done: usize) {
        let mark = MARK.as_bytes().get(done..).unwrap_or_default();
        let mark = mark.iter().copied().chain(std::iter::repeat(b'*'));
        self.of(range).iter_mut().zip(mark).for_each(|(byte, mark)| *byte = mark);
    }

    /// Puts asterisks over a range.
    pub(super) fn blank(&mut self, range: Range<usize>) {
        self.of(range).fill(b'*');
    }

    fn of(&mut self, range: Range<usize>) -> &mut [u8] {
        if range.is_empty() {
            return &mut [];
        }
        let copy = self.copy.get_or_insert_with(|| BytesMut::from(self.bytes));
        copy.get_mut(range).unwrap_or_default()
    }

    /// The bytes, if they are other ones now.
    pub(super) fn changed(self) -> Option<Bytes> {
        self.copy.map(BytesMut::freeze)
    }
}
