//! What the bytes of an exchange say, as far as a record has columns for it.

use verbatim_core::model::{Dialect, Exchange, ExchangeHeads, LegBody, Usage};
use verbatim_dialects::{ExchangeView, ProviderError, Reading, detect, estimate, guarded, text};

/// How bytes are read: [`verbatim_dialects::skim`].
pub(crate) type Read = fn(&ExchangeView<'_>) -> Reading;

/// What the bytes say.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) dialect: Dialect,
    pub(crate) provider_request_id: Option<String>,
    pub(crate) model_asked: Option<String>,
    pub(crate) model_served: Option<String>,
    pub(crate) streamed: bool,
    pub(crate) finish_reason: Option<String>,
    pub(crate) tools_called: Vec<String>,
    /// Where on the wire the first token was complete.
    pub(crate) first_token_offset: Option<u64>,
    pub(crate) usage: Usage,
    /// The provider's error in a line.
    pub(crate) error: Option<String>,
    pub(crate) asked_preview: String,
    pub(crate) answered_preview: String,
    pub(crate) notes: Vec<String>,
}

impl Said {
    /// Reads an exchange; `ended` tells whether it is over, so that what its provider did not count is estimated. Of the
    /// columns it takes those that are known without reading.
    ///
    /// Bytes that reading panics over are a fault of ours. The record is made without what they say, and a note tells:
    /// once that is mended, all of it can be derived from the bytes again.
    pub(crate) fn read(
        exchange: &Exchange,
        heads: &ExchangeHeads,
        bodies: &[LegBody],
        read: Read,
        ended: bool,
    ) -> Self {
        guarded(|| {
            let dialect = detect(exchange.provider_dialect, &exchange.method, &exchange.path);
            let view = ExchangeView { dialect, ..ExchangeView::of(exchange, heads, bodies) };
            Self::of(dialect, read(&view), ended)
        })
        .unwrap_or_else(|stumbled| {
            metrics::counter!("verbatim_recorder_unread_total").increment(1);
            Self::nothing(stumbled.to_string())
        })
    }

    fn of(dialect: Dialect, reading: Reading, ended: bool) -> Self {
        Self {
            dialect,
            finish_reason: reading.finish_reason().map(str::to_owned),
            tools_called: reading.tools_called(),
            usage: usage(&reading, ended),
            error: reading.error.as_ref().map(ProviderError::line),
            asked_preview: text::asked_preview(&reading),
            answered_preview: text::answered_preview(&reading),
            first_token_offset: reading.first_token_offset,
            streamed: reading.streamed,
            provider_request_id: reading.provider_request_id,
            model_asked: reading.model_asked,
            model_served: reading.model_served,
            notes: reading.notes,
        }
    }

    /// Nothing but a note that says why.
    fn nothing(note: String) -> Self {
        Self {
            dialect: Dialect::Raw,
            provider_request_id: None,
            model_asked: None,
            model_served: None,
            streamed: false,
            finish_reason: None,
            tools_called: Vec::new(),
            first_token_offset: None,
            usage: Usage::default(),
            error: None,
            asked_preview: String::new(),
            answered_preview: String::new(),
            notes: vec![note],
        }
    }
}

/// As the provider counted, and what it did not tell of an answer that came estimated; unknown is never zero.
fn usage(reading: &Reading, ended: bool) -> Usage {
    let told = reading.usage.unwrap_or_default();
    if !ended || reading.error.is_some() {
        return told;
    }
    estimate::usage(reading).unwrap_or(told)
}
