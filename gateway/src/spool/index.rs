//! From where on the spool is still needed, and for whom.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::Sequence;

/// Where each exchange that is in the spool begins there.
#[derive(Debug, Default)]
pub(crate) struct SpoolIndex {
    inner: Mutex<Inner>,
    /// Whether it is known what earlier processes left.
    has_stock: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Inner {
    begins: HashMap<ExchangeId, Begin>,
    /// The highest sequence that is known to be taken.
    last: Sequence,
}

#[derive(Debug)]
struct Begin {
    at: Sequence,
    /// Earlier processes that wrote something of it to the log.
    writers: BTreeSet<String>,
}

impl Begin {
    const fn new(at: Sequence) -> Self {
        Self { at, writers: BTreeSet::new() }
    }
}

impl SpoolIndex {
    /// Messages of an exchange are about to be written: they will stand behind everything that is known to be
    /// written now.
    pub(crate) fn expect(&self, id: ExchangeId) {
        let mut inner = self.lock();
        let next = inner.last + 1;
        inner.begins.entry(id).or_insert_with(|| Begin::new(next));
    }

    /// An exchange of an earlier process begins here.
    pub(super) fn found(&self, id: ExchangeId, sequence: Sequence) {
        let mut inner = self.lock();
        let begins = inner.begins.entry(id).or_insert_with(|| Begin::new(sequence));
        begins.at = sequence.min(begins.at);
        inner.last = inner.last.max(sequence);
    }

    /// Earlier processes wrote of an exchange; of one that is not in the spool any more nobody has to know.
    pub(super) fn written_by(&self, id: ExchangeId, writers: BTreeSet<String>) {
        if let Some(begin) = self.lock().begins.get_mut(&id) {
            begin.writers.extend(writers);
        }
    }

    /// What earlier processes left is known now.
    pub(crate) fn stock_taken(&self) {
        self.has_stock.send_replace(true);
    }

    /// Waits until it is known what earlier processes left.
    pub(crate) async fn stock(&self) {
        // The sender lives as long as this borrow.
        let _ = self.has_stock.subscribe().wait_for(|has_stock| *has_stock).await;
    }

    /// The earlier processes whose exchanges are still in the spool.
    pub(crate) fn writers(&self) -> BTreeSet<String> {
        self.lock().begins.values().flat_map(|begin| begin.writers.iter().cloned()).collect()
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
        inner.begins.values().map(|begin| begin.at).min().unwrap_or(inner.last + 1)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn an_earlier_process_is_named_until_all_that_it_wrote_of_has_left() {
        let index = SpoolIndex::default();
        let (one, two, gone) = (ExchangeId::mint(), ExchangeId::mint(), ExchangeId::mint());
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
        index.found(one, 1);
        index.found(two, 2);
        index.written_by(one, names(&["a"]));
        index.written_by(two, names(&["a", "b"]));
        index.written_by(gone, names(&["c"]));
        assert_eq!(index.writers(), names(&["a", "b"]));
        index.forget(two);
        assert_eq!(index.writers(), names(&["a"]));
        index.forget(one);
        assert_eq!(index.writers(), names(&[]));
    }
}
