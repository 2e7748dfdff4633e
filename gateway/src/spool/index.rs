//! From where on the spool is still needed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use verbatim_core::model::ExchangeId;
use verbatim_core::ports::Sequence;

/// Where each exchange that is in the spool begins there.
#[derive(Debug, Default)]
pub(crate) struct SpoolIndex(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    begins: HashMap<ExchangeId, Sequence>,
    /// The highest sequence that is known to be taken.
    last: Sequence,
}

impl SpoolIndex {
    /// Messages of an exchange are about to be written: they will stand behind everything that is known to be
    /// written now.
    pub(crate) fn expect(&self, id: ExchangeId) {
        let mut inner = self.lock();
        let next = inner.last + 1;
        inner.begins.entry(id).or_insert(next);
    }

    /// An exchange of an earlier process begins here.
    pub(super) fn found(&self, id: ExchangeId, sequence: Sequence) {
        let mut inner = self.lock();
        let begins = inner.begins.entry(id).or_insert(sequence);
        *begins = sequence.min(*begins);
        inner.last = inner.last.max(sequence);
    }

    /// A message was written.
    pub(crate) fn written(&self, sequence: Sequence) {
        let mut inner = self.lock();
        inner.last = inner.last.max(sequence);
    }

    /// The spool needs nothing of an exchange any more.
    pub(crate) fn forget(&self, id: ExchangeId) {
        self.lock().begins.remove(&id);
    }

    /// Nothing below this sequence is needed.
    pub(super) fn floor(&self) -> Sequence {
        let inner = self.lock();
        inner.begins.values().copied().min().unwrap_or(inner.last + 1)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_exchange_goes_before_all_of_it_may() {
        let index = SpoolIndex::default();
        let (one, two) = (ExchangeId::mint(), ExchangeId::mint());
        index.expect(one);
        index.written(10);
        index.expect(two);
        index.expect(one);
        assert_eq!(index.floor(), 1);
        index.forget(one);
        assert_eq!(index.floor(), 11, "two will stand behind what was written when it was expected");
        index.forget(two);
        index.written(30);
        assert_eq!(index.floor(), 31);
    }
}
