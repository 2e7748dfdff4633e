//! What a reading is made from.

use verbatim_core::model::{Dialect, Headers, ProviderDialect};

/// The bytes of one exchange, as they travelled between the provider and whoever spoke its dialect.
#[derive(Debug, Clone, Copy)]
pub struct ExchangeView<'a> {
    /// The wire language that the provider speaks.
    pub provider_dialect: ProviderDialect,
    /// The wire language of this exchange; see [`crate::detect`].
    pub dialect: Dialect,
    /// HTTP method.
    pub method: &'a str,
    /// Path and query as the client asked for them.
    pub path: &'a str,
    /// Headers of the request.
    pub request_headers: &'a Headers,
    /// Body of the request; for a tunnel, what the client sent after the answer's head.
    pub request_body: &'a [u8],
    /// Status of the answer; `None` where there was none.
    pub status: Option<u16>,
    /// Headers of the answer.
    pub response_headers: &'a Headers,
    /// Body of the answer as it was on the wire (compressed, cut).
    pub response_body: &'a [u8],
    /// Whether the answer's body ended regularly.
    pub response_complete: bool,
}
