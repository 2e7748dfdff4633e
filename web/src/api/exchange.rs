//! One exchange.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;
use verbatim_core::model::{Attempt, Headers, LegInfo, MessageHead};

use super::ExchangeBody;
use crate::error::{ApiError, ErrorBody};
use crate::reading::found;
use crate::state::Shared;

/// One exchange with its heads.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExchangeDetail {
    #[serde(flatten)]
    exchange: ExchangeBody,
    /// Head of the application's request.
    request: HeadBody,
    /// Head of the answer that the application got; null where there was none.
    response: Option<HeadBody>,
    /// Each try to reach a provider.
    attempts: Vec<AttemptBody>,
    /// What is known of each stored leg. A leg that is not listed equals the other side's, or was not recorded.
    legs: Vec<LegBody>,
    /// What a reader should know that no other field says.
    notes: Vec<String>,
    /// Rare facts, such as the close code of a tunnelled WebSocket.
    facts: BTreeMap<String, String>,
}

/// The head of a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageHead)]
struct HeadBody {
    /// HTTP version.
    version: String,
    /// Status, of an answer.
    status: Option<u16>,
    /// Headers in order as pairs of name and value; secrets are redacted.
    headers: Vec<(String, String)>,
    /// Trailers that followed the body.
    trailers: Vec<(String, String)>,
    /// When it passed, in microseconds since the exchange began.
    at_us: u64,
}

/// One try to reach a provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
struct AttemptBody {
    /// The provider's name.
    provider: String,
    /// The URL that was called, secrets redacted.
    url: String,
    /// What it answered with.
    status: Option<u16>,
    /// Why it failed.
    error: Option<String>,
    /// When it started, in microseconds since the exchange began.
    started_us: u64,
    /// When its head came or it failed, in microseconds since the exchange began.
    ended_us: Option<u64>,
}

/// What is known of a leg without its bytes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LegInfo)]
struct LegBody {
    /// `client_request`, `upstream_request`, `upstream_response` or `client_response`.
    #[schema(value_type = String)]
    leg: &'static str,
    /// Bytes that passed on the wire.
    length: u64,
    /// Bytes that are stored.
    stored: u64,
    /// BLAKE3 of what passed, in hex; null where nobody saw the whole of it.
    hash: Option<String>,
    /// BLAKE3 of what is stored, in hex.
    stored_hash: Option<String>,
    /// Bytes that were captured but lost.
    lost: u64,
}

fn pairs(headers: &Headers) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
        .collect()
}

impl From<&MessageHead> for HeadBody {
    fn from(head: &MessageHead) -> Self {
        Self {
            version: head.version.clone(),
            status: head.status,
            headers: pairs(&head.headers),
            trailers: pairs(&head.trailers),
            at_us: head.at_us,
        }
    }
}

impl From<Attempt> for AttemptBody {
    fn from(attempt: Attempt) -> Self {
        let Attempt { provider, url, status, error, started_us, ended_us } = attempt;
        Self { provider, url, status, error, started_us, ended_us }
    }
}

impl From<LegInfo> for LegBody {
    fn from(info: LegInfo) -> Self {
        let hex =
            |hash: Option<[u8; 32]>| hash.map(|hash| blake3::Hash::from_bytes(hash).to_hex().to_string());
        Self {
            leg: info.leg.as_str(),
            length: info.length,
            stored: info.stored,
            hash: hex(info.hash),
            stored_hash: hex(info.stored_hash),
            lost: info.lost,
        }
    }
}

/// One exchange: its columns, heads, attempts, and what is known of its legs.
#[utoipa::path(
    get, path = "/api/v1/exchanges/{id}", tag = "exchanges",
    params(("id" = String, Path, description = "The exchange's id")),
    responses(
        (status = 200, description = "The exchange", body = ExchangeDetail),
        (status = 400, description = "That is not an id", body = ErrorBody),
        (status = 404, description = "No such exchange", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn get_exchange(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<ExchangeDetail>, ApiError> {
    let id = id.parse()?;
    let (exchange, heads) = found(&app.stores, id).await?;
    Ok(Json(ExchangeDetail {
        exchange: exchange.into(),
        request: (&heads.request).into(),
        response: heads.response.as_ref().map(HeadBody::from),
        attempts: heads.attempts.into_iter().map(AttemptBody::from).collect(),
        legs: heads.legs.into_iter().map(LegBody::from).collect(),
        notes: heads.notes,
        facts: heads.facts,
    }))
}
