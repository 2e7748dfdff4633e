//! What the bytes of an exchange say, as far as a record has columns for it.

use verbatim_core::model::{Dialect, Headers, ProviderDialect, Usage};
use verbatim_dialects::{ExchangeView, ProviderError, Reading, detect, estimate, guarded, text};

/// How bytes are read: [`verbatim_dialects::read`].
pub(crate) type Read = fn(&ExchangeView<'_>) -> Reading;

/// The bytes of an exchange, and what has to be known to read them.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a> {
    pub(crate) provider_dialect: ProviderDialect,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) request_headers: &'a Headers,
    pub(crate) request_body: &'a [u8],
    pub(crate) status: Option<u16>,
    pub(crate) response_headers: &'a Headers,
    pub(crate) response_body: &'a [u8],
    pub(crate) response_complete: bool,
}

/// What they say.
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
    /// Reads an exchange; `ended` tells whether it is over, so that what its provider did not count is estimated.
    ///
    /// Bytes that reading panics over are a fault of ours. The record is made without what they say, and a note tells:
    /// once that is mended, all of it can be derived from the bytes again.
    pub(crate) fn read(bytes: &Bytes<'_>, read: Read, ended: bool) -> Self {
        guarded(|| Self::of(bytes, read, ended)).unwrap_or_else(|stumbled| {
            metrics::counter!("verbatim_recorder_unread_total").increment(1);
            Self::nothing(stumbled.to_string())
        })
    }

    fn of(bytes: &Bytes<'_>, read: Read, ended: bool) -> Self {
        let dialect = detect(bytes.provider_dialect, bytes.method, bytes.path);
        let reading = read(&ExchangeView {
            provider_dialect: bytes.provider_dialect,
            dialect,
            method: bytes.method,
            path: bytes.path,
            request_headers: bytes.request_headers,
            request_body: bytes.request_body,
            status: bytes.status,
            response_headers: bytes.response_headers,
            response_body: bytes.response_body,
            response_complete: bytes.response_complete,
        });
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

/// As the provider counted, else estimated where text was generated; unknown is never zero.
fn usage(reading: &Reading, ended: bool) -> Usage {
    if let Some(usage) = reading.usage {
        return usage;
    }
    let generates = matches!(
        reading.dialect,
        Dialect::OpenaiChat
            | Dialect::OpenaiResponses
            | Dialect::OpenaiOther
            | Dialect::Anthropic
            | Dialect::Gemini
            | Dialect::Ollama
    );
    if !generates || !ended || reading.error.is_some() {
        return Usage::default();
    }
    estimate::usage(reading).unwrap_or_default()
}
