//! The list of exchanges.

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use verbatim_core::model::InvalidExchangeId;

use super::model::{ItemBody, decimal};
use crate::error::{ApiError, ErrorBody};
use crate::find::{Ask, COUNTED, Notice, Where, find};
use crate::state::Shared;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// What to find: free words, `"phrases"` and `field:value` filters, all of which must hold. Empty: everything.
    #[param(example = "model:gpt-4o* outcome:completed weather")]
    q: Option<String>,
    /// At most so many, 1 to 500; 50 by default.
    #[param(value_type = Option<u16>)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One page of exchanges, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExchangeList {
    /// The exchanges.
    items: Vec<ItemBody>,
    /// Ask again with this as `cursor` for the next page; null at the end.
    next_cursor: Option<String>,
    /// How many match, counted up to 10,000; null where that was not counted (`in:all`).
    approximate_total: Option<u64>,
    /// Whether counting stopped at 10,000.
    more_than_total: bool,
    /// Which store answered.
    answered_by: Where,
    /// What a reader should know of this answer.
    notices: Vec<Notice>,
}

/// Lists exchanges, newest first.
///
/// Words are looked for in the search index; filters alone are answered by the archive. Where the index can't be
/// asked, the filters still work and a notice with code `search_unavailable` says that words were passed over.
#[utoipa::path(
    get, path = "/api/v1/exchanges", tag = "exchanges", params(ListParams),
    responses(
        (status = 200, description = "One page", body = ExchangeList),
        (status = 400, description = "The query, limit or cursor can't be read; `spot` tells where", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn list_exchanges(
    State(app): State<Shared>,
    Query(params): Query<ListParams>,
) -> Result<Json<ExchangeList>, ApiError> {
    let limit = decimal("limit", params.limit.as_deref(), 50, 500).map_err(ApiError::Invalid)?;
    let limit = usize::try_from(limit).unwrap_or(50);
    let mut ask = Ask::parse(&app.stores, params.q.as_deref().unwrap_or_default(), limit)?;
    ask.count = true;
    if let Some(cursor) = params.cursor.as_deref().filter(|cursor| !cursor.is_empty()) {
        let wrong = |error: InvalidExchangeId| ApiError::Invalid(format!("`cursor`: {error}"));
        ask.before = Some(cursor.parse().map_err(wrong)?);
    }
    let found = find(&app.stores, ask).await?;
    Ok(Json(ExchangeList {
        items: found.items.into_iter().map(ItemBody::from).collect(),
        next_cursor: found.next.map(|id| id.to_string()),
        approximate_total: found.total,
        more_than_total: found.total.is_some_and(|total| total >= COUNTED),
        answered_by: found.answered_by,
        notices: found.notices,
    }))
}
