//! The record of one exchange.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Dialect, ExchangeId, Headers, Integrity, LegBody, LegInfo, Outcome, ProviderDialect, Rank, RecordMode,
    Timestamp, Usage,
};

/// Who made a call, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// The program, from `x-title`, `user-agent` or the key.
    pub app: Option<String>,
    /// The project, from `x-verbatim-project` or the key.
    pub project: Option<String>,
    /// The virtual key's id.
    pub key: Option<String>,
    /// The virtual key's owner.
    pub owner: Option<String>,
    /// A keyed hash of the credential the caller sent to the provider; hex.
    pub credential: Option<String>,
    /// IP address.
    pub client_address: Option<String>,
}

/// One try to reach a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// The provider's name.
    pub provider: String,
    /// The URL that was called, secrets redacted.
    pub url: String,
    /// What it answered with, if it answered.
    pub status: Option<u16>,
    /// Why it failed, if it failed.
    pub error: Option<String>,
    /// When it started, in microseconds since the exchange began.
    pub started_us: u64,
    /// When its response head came or it failed, in microseconds since the exchange began.
    pub ended_us: Option<u64>,
}

/// The columns of an exchange: everything that is listed, filtered, sorted or summed. Texts are within the limits of
/// [`Exchange::within_limits`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exchange {
    /// Its id.
    pub id: ExchangeId,
    /// The gateway that relayed it.
    pub gateway: String,
    /// When its request head came.
    pub began_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether every byte is there.
    pub integrity: Integrity,
    /// What of it is recorded.
    pub record: RecordMode,
    /// HTTP method.
    pub method: String,
    /// Path and query as asked for, secrets redacted.
    pub path: String,
    /// Status that the application got; `None` where it got none.
    pub status: Option<u16>,
    /// What went wrong, in a line.
    pub error: Option<String>,
    /// Who called.
    #[serde(flatten)]
    pub caller: Caller,
    /// Provider's name; empty where none was chosen.
    pub provider: String,
    /// The wire language that the provider speaks.
    pub provider_dialect: ProviderDialect,
    /// The wire language of this exchange.
    pub dialect: Dialect,
    /// The provider's own id of the call.
    pub provider_request_id: Option<String>,
    /// Model that was asked for.
    pub model_asked: Option<String>,
    /// Model that answered.
    pub model_served: Option<String>,
    /// Conversation it belongs to.
    pub session: Option<String>,
    /// Free words the caller gave it.
    pub tags: Vec<String>,
    /// W3C trace id, 32 hex digits.
    pub trace_id: Option<String>,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// Why the model stopped, as the provider says it.
    pub finish_reason: Option<String>,
    /// Names of the tools that the model called.
    pub tools_called: Vec<String>,
    /// Microseconds from request head to the first byte of the answer's body.
    pub first_byte_us: Option<u64>,
    /// Microseconds from request head to the first token.
    pub first_token_us: Option<u64>,
    /// Microseconds from request head to the end; `None` while it runs.
    pub duration_us: Option<u64>,
    /// Microseconds that Verbatim itself added.
    pub relay_us: Option<u64>,
    /// Tokens.
    #[serde(flatten)]
    pub usage: Usage,
    /// Cost in millionths of a US dollar; `None` where no price or no usage is known.
    pub cost_micros: Option<u64>,
    /// Which price table the cost was counted with, or `provider` where it stated the cost.
    pub price_version: Option<String>,
    /// The first words of what was asked, cleaned, at most 200 characters.
    pub asked_preview: String,
    /// The first words of what was answered, cleaned, at most 200 characters.
    pub answered_preview: String,
    /// Bytes of the request's body on the wire.
    pub request_bytes: u64,
    /// Bytes of the answer's body on the wire.
    pub response_bytes: u64,
    /// Bytes captured but lost, over all legs.
    pub lost_bytes: u64,
}

impl Exchange {
    /// Which record of this exchange replaces which.
    pub fn rank(&self) -> Rank {
        Rank::of(self.outcome, self.integrity)
    }

    /// The model that answered, or else the one asked for.
    pub fn model(&self) -> Option<&str> {
        self.model_served.as_deref().or(self.model_asked.as_deref())
    }
}

/// The head of one leg.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MessageHead {
    /// `HTTP/1.1`, `HTTP/2.0`.
    pub version: String,
    /// Status, on an answer's head.
    pub status: Option<u16>,
    /// Headers in order, secrets redacted.
    pub headers: Headers,
    /// Trailers that followed the body.
    pub trailers: Headers,
    /// When it passed, in microseconds since the exchange began.
    pub at_us: u64,
}

/// What is shown of one exchange but never listed: heads, attempts and the bodies' lengths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExchangeHeads {
    /// Head of the application's request.
    pub request: MessageHead,
    /// Head of the answer that the application got; `None` where there was none.
    pub response: Option<MessageHead>,
    /// Each try to reach a provider.
    pub attempts: Vec<Attempt>,
    /// What is known of each stored leg.
    pub legs: Vec<LegInfo>,
    /// What a reader should know that no column says (what was dropped, changed or could not be read).
    pub notes: Vec<String>,
    /// Close code of a tunnelled WebSocket, and other rare facts.
    pub facts: BTreeMap<String, String>,
}

impl ExchangeHeads {
    /// Headers of the answer; none where there was no answer.
    pub fn response_headers(&self) -> &Headers {
        static NONE: Headers = Headers(Vec::new());
        self.response.as_ref().map_or(&NONE, |head| &head.headers)
    }
}

/// Everything the archive keeps of one exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeRecord {
    /// Its columns.
    pub exchange: Exchange,
    /// Heads and attempts. `heads.legs` mirrors `bodies`.
    pub heads: ExchangeHeads,
    /// Its bodies.
    pub bodies: Vec<LegBody>,
}
