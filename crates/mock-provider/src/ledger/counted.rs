//! An exchange of which only the sums are kept.

use super::Ledger;

/// An exchange that is only counted. Wherever it is dropped, that is its end.
pub(crate) struct Counted {
    ledger: Ledger,
    request_bytes: u64,
    response_bytes: u64,
    completed: bool,
}

impl Counted {
    pub(super) fn begin(ledger: Ledger) -> Self {
        Self { ledger, request_bytes: 0, response_bytes: 0, completed: false }
    }

    pub(crate) fn received(&mut self, bytes: usize) {
        self.request_bytes += bytes as u64;
    }

    pub(crate) fn end(mut self, response_bytes: usize, completed: bool) {
        self.response_bytes = response_bytes as u64;
        self.completed = completed;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.ledger.count_ended(self.request_bytes, self.response_bytes, self.completed);
    }
}
