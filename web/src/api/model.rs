//! An exchange as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;
use verbatim_core::model::{Exchange, Timestamp};

use crate::find::{FoundItem, Fragment, fragments};

/// One call of an application and everything it caused.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Exchange)]
pub(crate) struct ExchangeBody {
    /// Its id, a UUIDv7: ids sort by the time an exchange began.
    id: String,
    /// The gateway that relayed it.
    gateway: String,
    /// When its request head came.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) began_at: Timestamp,
    /// How it ended: `running`, `completed`, `upstream_error`, `client_aborted`, `upstream_aborted`, `timed_out`,
    /// `refused`, `interrupted` or `incomplete`.
    #[schema(value_type = String)]
    outcome: &'static str,
    /// Whether every byte is there: `whole`, `partial` or `damaged`.
    #[schema(value_type = String)]
    integrity: &'static str,
    /// What of it is recorded: `full`, `meta` or `off`.
    #[schema(value_type = String)]
    record: &'static str,
    /// HTTP method.
    method: String,
    /// Path and query as asked for, secrets redacted.
    path: String,
    /// Status that the application got.
    status: Option<u16>,
    /// What went wrong, in a line.
    error: Option<String>,
    /// The calling program.
    app: Option<String>,
    /// The project.
    project: Option<String>,
    /// The virtual key's id.
    key: Option<String>,
    /// The virtual key's owner.
    owner: Option<String>,
    /// A keyed hash of the credential that the caller sent to the provider.
    credential: Option<String>,
    /// The caller's IP address.
    client_address: Option<String>,
    /// Provider's name; empty where none was chosen.
    provider: String,
    /// The wire language that the provider speaks.
    #[schema(value_type = String)]
    provider_dialect: &'static str,
    /// The wire language of this exchange.
    #[schema(value_type = String)]
    dialect: &'static str,
    /// The provider's own id of the call.
    provider_request_id: Option<String>,
    /// Model that was asked for.
    model_asked: Option<String>,
    /// Model that answered.
    model_served: Option<String>,
    /// Conversation it belongs to.
    session: Option<String>,
    /// Free words the caller gave it.
    tags: Vec<String>,
    /// W3C trace id.
    trace_id: Option<String>,
    /// Whether the answer was streamed.
    streamed: bool,
    /// Why the model stopped, as the provider says it.
    finish_reason: Option<String>,
    /// Names of the tools that the model called.
    tools_called: Vec<String>,
    /// Microseconds from request head to the first byte of the answer's body.
    first_byte_us: Option<u64>,
    /// Microseconds from request head to the first token.
    first_token_us: Option<u64>,
    /// Microseconds from request head to the end; null while it runs.
    duration_us: Option<u64>,
    /// Microseconds that Verbatim itself added.
    relay_us: Option<u64>,
    /// All input tokens, cached ones included.
    input_tokens: Option<u64>,
    /// All output tokens, reasoning included.
    output_tokens: Option<u64>,
    /// Input plus output, or what the provider totalled.
    total_tokens: Option<u64>,
    /// Of the input, read from the provider's cache.
    cache_read_tokens: Option<u64>,
    /// Of the input, written to the provider's cache.
    cache_write_tokens: Option<u64>,
    /// Of the output, reasoning.
    reasoning_tokens: Option<u64>,
    /// Where the token figures come from: `provider` or `estimated`.
    #[schema(value_type = Option<String>)]
    provenance: Option<&'static str>,
    /// Cost in millionths of a US dollar.
    cost_micros: Option<u64>,
    /// The price table it was counted with, or `provider` where that stated the cost.
    price_version: Option<String>,
    /// The first words of what was asked.
    asked_preview: String,
    /// The first words of what was answered.
    answered_preview: String,
    /// Bytes of the request's body on the wire.
    request_bytes: u64,
    /// Bytes of the answer's body on the wire.
    response_bytes: u64,
    /// Bytes captured but lost.
    lost_bytes: u64,
}

impl From<Exchange> for ExchangeBody {
    fn from(exchange: Exchange) -> Self {
        let total_tokens = exchange.usage.total();
        let Exchange { caller, usage, .. } = exchange;
        Self {
            id: exchange.id.to_string(),
            gateway: exchange.gateway,
            began_at: exchange.began_at,
            outcome: exchange.outcome.as_str(),
            integrity: exchange.integrity.as_str(),
            record: exchange.record.as_str(),
            method: exchange.method,
            path: exchange.path,
            status: exchange.status,
            error: exchange.error,
            app: caller.app,
            project: caller.project,
            key: caller.key,
            owner: caller.owner,
            credential: caller.credential,
            client_address: caller.client_address,
            provider: exchange.provider,
            provider_dialect: exchange.provider_dialect.as_str(),
            dialect: exchange.dialect.as_str(),
            provider_request_id: exchange.provider_request_id,
            model_asked: exchange.model_asked,
            model_served: exchange.model_served,
            session: exchange.session,
            tags: exchange.tags,
            trace_id: exchange.trace_id,
            streamed: exchange.streamed,
            finish_reason: exchange.finish_reason,
            tools_called: exchange.tools_called,
            first_byte_us: exchange.first_byte_us,
            first_token_us: exchange.first_token_us,
            duration_us: exchange.duration_us,
            relay_us: exchange.relay_us,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            total_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            provenance: usage.provenance.map(|from| from.as_str()),
            cost_micros: exchange.cost_micros,
            price_version: exchange.price_version,
            asked_preview: exchange.asked_preview,
            answered_preview: exchange.answered_preview,
            request_bytes: exchange.request_bytes,
            response_bytes: exchange.response_bytes,
            lost_bytes: exchange.lost_bytes,
        }
    }
}

/// An exchange in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExchangeItem)]
pub(super) struct ItemBody {
    #[serde(flatten)]
    exchange: ExchangeBody,
    /// Where the words of the query stand; empty without words.
    highlights: Vec<Highlight>,
}

/// A field with what was found in it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Highlight {
    /// `asked`, `answered`, `reasoning`, `tools`, `system`, `error`, or with `in:all` also `request`, `response`.
    #[schema(value_type = String)]
    field: &'static str,
    /// The text around it, cut at what was found.
    fragments: Vec<Fragment>,
}

impl From<FoundItem> for ItemBody {
    fn from(item: FoundItem) -> Self {
        let highlights = item
            .snippets
            .iter()
            .map(|snippet| Highlight { field: snippet.field, fragments: fragments(snippet) })
            .collect();
        Self { exchange: item.exchange.into(), highlights }
    }
}

/// A whole number as a person or a script sends it in a query string.
pub(crate) fn decimal(name: &str, text: Option<&str>, default: u64, most: u64) -> Result<u64, String> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(default) };
    match text.parse::<u64>() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => {
            let shown: String = text.chars().take(40).collect();
            Err(format!("{name}: expected a whole number from 1 to {most}, got {shown:?}"))
        }
    }
}
