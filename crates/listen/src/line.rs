//! What is known of a connection by those who watch over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// A connection's calls, counted.
#[derive(Debug, Clone, Default)]
pub struct Line(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    under_way: AtomicUsize,
}

impl Line {
    /// A call begins, and is under way until the result is dropped.
    pub fn begin(&self) -> Busy {
        self.0.begun.fetch_add(1, Relaxed);
        self.0.under_way.fetch_add(1, Relaxed);
        Busy(Arc::clone(&self.0))
    }

    pub(crate) fn begun(&self) -> u64 {
        self.0.begun.load(Relaxed)
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.0.under_way.load(Relaxed) > 0
    }
}

/// A call under way.
#[derive(Debug)]
pub struct Busy(Arc<Counts>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}
