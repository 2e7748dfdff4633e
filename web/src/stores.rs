//! The stores that exchanges are found in and read from.

use std::sync::Arc;

use tokio::sync::Semaphore;
use verbatim_core::ports::{Archive, Clock, SearchIndex};

/// At most so many bodies are read and parsed at a time: each may be tens of megabytes.
const READINGS_AT_ONCE: usize = 3;

/// What finding and reading needs, whoever asks: pages, the API, an export.
pub struct Stores {
    pub(crate) archive: Arc<dyn Archive>,
    /// Word search; without it there are filters and `in:all`.
    pub(crate) index: Option<Arc<dyn SearchIndex>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) readings: Semaphore,
}

impl Stores {
    /// These stores.
    pub fn new(
        archive: Arc<dyn Archive>,
        index: Option<Arc<dyn SearchIndex>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { archive, index, clock, readings: Semaphore::new(READINGS_AT_ONCE) }
    }
}
