//! A query's whole answer as a file, newest exchange first, piece by piece: what is in memory does not grow with it.

mod columns;
mod csv;
mod format;
mod jsonl;
mod parquet;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use verbatim_core::model::query::QueryError;
use verbatim_core::ports::PortError;

use crate::error::ApiError;
use crate::find::{Ask, Found, FoundItem, LOOKS_BACK, find};
use crate::stores::Stores;

use format::Encoder;
pub use format::ExportFormat;

/// So many exchanges are found at a time.
const PAGE: usize = 200;

/// Why an export is not made, or not whole.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The query can't be read; the error tells where.
    #[error("the query can't be read: {error}")]
    Query {
        /// The query as it was given.
        query: String,
        /// What is wrong with it.
        error: QueryError,
    },
    /// There is no such format.
    #[error("{0}")]
    Format(String),
    /// A store could not be asked.
    #[error(transparent)]
    Store(#[from] PortError),
    /// It was told to stop before it was done.
    #[error("the export was stopped before it was whole")]
    Stopped,
    /// The file's next piece could not be made.
    #[error("the export could not be written: {0}")]
    Encoding(String),
}

impl ExportError {
    fn encoding(why: impl fmt::Display) -> Self {
        Self::Encoding(why.to_string())
    }
}

impl From<ApiError> for ExportError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Query { query, error } => Self::Query { query, error },
            ApiError::Port(error) => Self::Store(error),
            other => Self::encoding(other),
        }
    }
}

/// A file on its way.
pub struct Export {
    stores: Arc<Stores>,
    stop: CancellationToken,
    ask: Ask,
    /// Found, and not written yet.
    ready: Vec<FoundItem>,
    more: bool,
    /// `None` once the file is whole.
    encoder: Option<Encoder>,
    exchanges: u64,
}

impl Export {
    /// Asks for the first exchanges that a query matches; everything where the query is empty. Once `stop` is
    /// cancelled, the export fails rather than to look whole.
    ///
    /// # Errors
    /// [`ExportError::Query`] where the query can't be read, [`ExportError::Store`] where the archive, or the search
    /// index for words, can't be asked.
    pub async fn begin(
        stores: Arc<Stores>,
        query: &str,
        format: ExportFormat,
        stop: CancellationToken,
    ) -> Result<Self, ExportError> {
        let ask = Ask::parse(&stores, query, PAGE)?;
        Self::of(stores, ask, format, stop).await
    }

    /// The same for a question that was read already; its limit does not count.
    pub(crate) async fn of(
        stores: Arc<Stores>,
        ask: Ask,
        format: ExportFormat,
        stop: CancellationToken,
    ) -> Result<Self, ExportError> {
        let ask = Ask { limit: PAGE, ..ask };
        let encoder = Some(Encoder::new(format)?);
        let mut export = Self { stores, stop, ask, ready: Vec::new(), more: true, encoder, exchanges: 0 };
        // Asked before anything is written, so that what can't be answered is an error and not an empty file.
        export.find().await?;
        Ok(export)
    }

    /// The next piece of the file; `None` once it is whole.
    ///
    /// # Errors
    /// [`ExportError::Store`] where a store could not be asked, [`ExportError::Stopped`] once it is to stop. What was
    /// written before is no whole file then.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ExportError> {
        loop {
            if self.stop.is_cancelled() {
                return Err(ExportError::Stopped);
            }
            if self.ready.is_empty() && self.more {
                self.find().await?;
            }
            let Some(encoder) = self.encoder.take() else { return Ok(None) };
            let is_last = self.ready.is_empty() && !self.more;
            let piece = if is_last {
                encoder.finish(&self.stores).await?
            } else {
                let found = self.ready.len();
                let (encoder, piece) = encoder.write(&self.stores, &mut self.ready).await?;
                self.encoder = Some(encoder);
                self.exchanges += (found - self.ready.len()) as u64;
                piece
            };
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    /// How many exchanges were written so far.
    pub fn exchanges(&self) -> u64 {
        self.exchanges
    }

    /// What whoever asked should know of the answer, in a line: that `in:all` looks back only so far.
    pub fn notice(&self) -> Option<&'static str> {
        self.ask.is_cut_short().then_some(LOOKS_BACK)
    }

    async fn find(&mut self) -> Result<(), ExportError> {
        let Found { items, next, notices, .. } = find(&self.stores, self.ask.clone()).await?;
        if let Some(notice) = notices.iter().find(|notice| notice.is_unavailable()) {
            return Err(PortError::Transient(notice.message.clone()).into());
        }
        self.more = next.is_some();
        self.ask.before = next;
        self.ready = items;
        Ok(())
    }
}
