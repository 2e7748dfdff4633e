//! From where on the spool is still needed, and for whom.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::Sequence;

use crate::health::Gauges;

/// Where each exchange that is in the spool begins there.
#[derive(Debug, Default)]
pub(crate) struct SpoolIndex {
    inner: Mutex<Inner>,
    gauges: Arc<Gauges>,
    stock: watch::Sender<Stock>,
}

/// How well it is known what earlier processes left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stock {
    pub(crate) is_known: bool,
    /// How often more became known.
    pub(crate) steps: u64,
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
    /// Its end is there, too: it waits to be replayed.
    ended: bool,
    /// Earlier processes that wrote something of it to the log.
    writers: BTreeSet<String>,
}

impl Begin {
    const fn new(at: Sequence) -> Self {
        Self { at, ended: false, writers: BTreeSet::new() }
    }
}

impl SpoolIndex {
    /// An index that shows in these how many exchanges wait to be replayed.
    pub(crate) fn new(gauges: Arc<Gauges>) -> Self {
        Self { gauges, ..Self::default() }
    }

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

    /// Some more is known of what earlier processes left, and not yet all.
    pub(crate) fn stock_goes_on(&self) {
        self.stock.send_modify(|stock| stock.steps += 1);
    }

    /// What earlier processes left is known now.
    pub(crate) fn stock_taken(&self) {
        self.stock.send_modify(|stock| stock.is_known = true);
    }

    /// How well it is known what earlier processes left.
    pub(crate) fn stock(&self) -> Stock {
        *self.stock.borrow()
    }

    /// Waits until it is known what earlier processes left.
    pub(crate) async fn known(&self) {
        // The sender lives as long as this borrow.
        let _ = self.stock.subscribe().wait_for(|stock| stock.is_known).await;
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

    /// The end of an exchange was written. Of one that was replayed since, nothing is in the spool any more.
    pub(crate) fn ended(&self, id: ExchangeId) {
        let mut inner = self.lock();
        if let Some(begin) = inner.begins.get_mut(&id)
            && !std::mem::replace(&mut begin.ended, true)
        {
            self.gauges.spooled.fetch_add(1, Relaxed);
        }
    }

    /// The spool needs nothing of an exchange any more.
    pub(crate) fn forget(&self, id: ExchangeId) {
        let mut inner = self.lock();
        if inner.begins.remove(&id).is_some_and(|begin| begin.ended) {
            self.gauges.spooled.fetch_sub(1, Relaxed);
        }
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
    fn an_exchange_waits_once_however_often_and_in_whatever_order_its_end_is_heard_of() {
        let gauges = Arc::<Gauges>::default();
        let index = SpoolIndex::new(Arc::clone(&gauges));
        let spooled = || gauges.spooled.load(Relaxed);
        let id = ExchangeId::mint();
        index.expect(id);
        assert_eq!(spooled(), 0);
        index.ended(id);
        index.found(id, 1);
        index.ended(id);
        assert_eq!(spooled(), 1);
        // It is replayed, and confirmed to who wrote it only now.
        index.forget(id);
        index.ended(id);
        assert_eq!(spooled(), 0);
        index.forget(id);
        assert_eq!(spooled(), 0);
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
