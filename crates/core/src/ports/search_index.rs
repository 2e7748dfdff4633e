//! Full text over the archive.

use async_trait::async_trait;

use super::PortResult;
use crate::model::query::Query;
use crate::model::{ExchangeId, SearchDocument};

/// What to find: newest first.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// The query; its filters hold too.
    pub query: Query,
    /// Only ids below this one: the last id of the page before.
    pub before: Option<ExchangeId>,
    /// So many hits to pass over first; for numbered pages.
    pub skip: u64,
    /// At most so many.
    pub limit: usize,
}

/// A stretch of text with what was found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// The document's field, such as `asked`.
    pub field: &'static str,
    /// Text around what was found, a few lines at most.
    pub text: String,
    /// Where in `text` it was found: ranges of bytes on character boundaries, rising, not overlapping.
    pub marks: Vec<std::ops::Range<usize>>,
}

/// An exchange that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its id.
    pub id: ExchangeId,
    /// Where the words stand; at most one a field.
    pub snippets: Vec<Snippet>,
}

/// One page of hits.
#[derive(Debug, Clone, Default)]
pub struct SearchPage {
    /// The hits, newest first.
    pub hits: Vec<Hit>,
    /// Whether there are more behind the last.
    pub more: bool,
    /// How many match, counted up to 10,000; `None` where that is not known.
    pub total: Option<u64>,
}

/// What became of a document.
#[derive(Debug)]
pub enum WriteOutcome {
    /// It is durable in the index.
    Indexed,
    /// It can never be indexed; the reason.
    Refused(String),
}

/// How the index is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexHealth {
    /// Documents.
    pub documents: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// The search index. Every adapter passes the contract suite in `testkit`.
#[async_trait]
pub trait SearchIndex: Send + Sync + 'static {
    /// Writes documents, replacing those of the same id; durable when it returns. One outcome a document.
    async fn write(&self, documents: Vec<SearchDocument>) -> PortResult<Vec<WriteOutcome>>;

    /// Forgets every document up to and including this id.
    async fn forget(&self, up_to: ExchangeId) -> PortResult<()>;

    /// Finds exchanges. `query.everywhere` is not its business.
    async fn search(&self, request: SearchRequest) -> PortResult<SearchPage>;

    /// Begins a rebuild: writes go to a new index from now on (and to the old one, which goes on answering).
    async fn begin_rebuild(&self) -> PortResult<()>;

    /// Ends a rebuild: the new index answers from now on, the old one is gone.
    async fn finish_rebuild(&self) -> PortResult<()>;

    /// How it is doing.
    async fn health(&self) -> PortResult<IndexHealth>;
}
