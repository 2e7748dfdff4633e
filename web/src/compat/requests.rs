//! `/api/requests` and `/admin/logs`: numbered pages and flat records.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use verbatim_core::model::query::{Query as Asked, TextTerm};
use verbatim_core::model::{Exchange, Headers};

use crate::api::decimal;
use crate::error::{ApiError, ErrorBody};
use crate::find::{Ask, find};
use crate::heavy::heavy;
use crate::reading::{Loaded, load_found, plain};
use crate::state::{App, Shared};

/// Requests of one page.
const PAGE: u64 = 20;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageParams {
    /// The page, from 1.
    #[param(value_type = Option<u64>)]
    page: Option<String>,
    /// What to find: a query, or what can't be read as one as plain words.
    search: Option<String>,
}

/// One page of requests.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RequestPage {
    /// The requests, newest first.
    requests: Vec<RequestRow>,
    /// How many match, counted up to 10,000.
    total_count: u64,
    /// The page, from 1.
    page: u64,
    /// Requests of a page.
    page_size: u64,
}

/// A request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RequestRow {
    /// Its id.
    id: String,
    /// When it began, RFC 3339.
    timestamp: String,
    /// HTTP method.
    method: String,
    /// In a list the path; of one request the URL that was called, or the path where none was.
    url: String,
    /// The model.
    model: Option<String>,
    /// The calling program.
    app_name: Option<String>,
    /// In a list the first words of what was asked; of one request its body as text.
    request_content: String,
    /// In a list the first words of what was answered; of one request the response's body as text.
    response_content: String,
    /// Input tokens.
    input_tokens: Option<u64>,
    /// Output tokens.
    output_tokens: Option<u64>,
    /// All tokens.
    total_tokens: Option<u64>,
    /// Duration in milliseconds.
    duration_ms: Option<u64>,
    /// Status that the application got.
    status_code: Option<u16>,
    /// What went wrong.
    error_message: Option<String>,
}

/// One request, whole.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RequestDetail {
    #[serde(flatten)]
    request: RequestRow,
    /// Headers of the request, secrets redacted; of a repeated one the values joined by commas.
    headers: BTreeMap<String, String>,
}

fn row(exchange: Exchange) -> RequestRow {
    RequestRow {
        id: exchange.id.to_string(),
        timestamp: exchange.began_at.to_string(),
        url: exchange.path.clone(),
        model: exchange.model().map(str::to_owned),
        app_name: exchange.caller.app,
        request_content: exchange.asked_preview,
        response_content: exchange.answered_preview,
        input_tokens: exchange.usage.input_tokens,
        output_tokens: exchange.usage.output_tokens,
        total_tokens: exchange.usage.total(),
        duration_ms: exchange.duration_us.map(|us| us / 1000),
        status_code: exchange.status,
        error_message: exchange.error,
        method: exchange.method,
    }
}

fn flat(headers: &Headers) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::<String, String>::new();
    for (name, value) in headers.iter() {
        let value = String::from_utf8_lossy(value);
        flat.entry(name.to_ascii_lowercase())
            .and_modify(|have| {
                have.push_str(", ");
                have.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    flat
}

async fn page(app: &App, params: PageParams) -> Result<RequestPage, ApiError> {
    let page = decimal("page", params.page.as_deref(), 1, 1_000_000).map_err(ApiError::Invalid)?;
    let search = params.search.unwrap_or_default();
    let limit = usize::try_from(PAGE).unwrap_or(20);
    let mut ask = Ask::parse(&app.stores, &search, limit).unwrap_or_else(|_| {
        // A script may send plain text: what is no query is that.
        let text = vec![TextTerm { text: search.trim().to_owned(), phrase: true, excluded: false }];
        Ask { query: Asked { text, ..Asked::default() }, limit, ..Ask::default() }
    });
    ask.skip = (page - 1) * PAGE;
    ask.count = true;
    let found = find(&app.stores, ask).await?;
    let seen = (page - 1) * PAGE + found.items.len() as u64 + u64::from(found.next.is_some());
    Ok(RequestPage {
        total_count: found.total.unwrap_or(seen),
        requests: found.items.into_iter().map(|item| row(item.exchange)).collect(),
        page,
        page_size: PAGE,
    })
}

async fn detail(app: &App, id: &str) -> Result<RequestDetail, ApiError> {
    let Loaded { exchange, heads, bodies, .. } = load_found(&app.stores, id.parse()?).await?;
    heavy(&app.stores, move || {
        let text = |bytes: bytes::Bytes| String::from_utf8_lossy(&bytes).into_owned();
        let called = heads.attempts.last().map(|attempt| attempt.url.clone());
        let row = row(exchange);
        RequestDetail {
            request: RequestRow {
                url: called.unwrap_or_else(|| row.url.clone()),
                request_content: text(plain(&heads.request.headers, bodies.request())),
                response_content: text(plain(heads.response_headers(), bodies.response())),
                ..row
            },
            headers: flat(&heads.request.headers),
        }
    })
    .await
}

/// Requests in numbered pages of 20.
#[utoipa::path(
    get, path = "/api/requests", tag = "compatibility", params(PageParams),
    responses(
        (status = 200, description = "The page", body = RequestPage),
        (status = 400, description = "`page` can't be read", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn list_requests(
    State(app): State<Shared>,
    Query(params): Query<PageParams>,
) -> Result<Json<RequestPage>, ApiError> {
    page(&app, params).await.map(Json)
}

/// One request, whole.
#[utoipa::path(
    get, path = "/api/requests/{id}", tag = "compatibility",
    params(("id" = String, Path, description = "The exchange's id")),
    responses(
        (status = 200, description = "The request", body = RequestDetail),
        (status = 400, description = "That is not an id", body = ErrorBody),
        (status = 404, description = "No such exchange", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn get_request(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<RequestDetail>, ApiError> {
    detail(&app, &id).await.map(Json)
}

/// The same as `/api/requests/{id}`.
#[utoipa::path(
    get, path = "/api/request/{id}", tag = "compatibility",
    params(("id" = String, Path, description = "The exchange's id")),
    responses(
        (status = 200, description = "The request", body = RequestDetail),
        (status = 400, description = "That is not an id", body = ErrorBody),
        (status = 404, description = "No such exchange", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn get_request_singular(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<RequestDetail>, ApiError> {
    detail(&app, &id).await.map(Json)
}

/// The same as `/api/requests`.
#[utoipa::path(
    get, path = "/admin/logs", tag = "compatibility", params(PageParams),
    responses(
        (status = 200, description = "The page", body = RequestPage),
        (status = 400, description = "`page` can't be read", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn list_logs(
    State(app): State<Shared>,
    Query(params): Query<PageParams>,
) -> Result<Json<RequestPage>, ApiError> {
    page(&app, params).await.map(Json)
}

/// The same as `/api/requests/{id}`.
#[utoipa::path(
    get, path = "/admin/logs/{id}", tag = "compatibility",
    params(("id" = String, Path, description = "The exchange's id")),
    responses(
        (status = 200, description = "The request", body = RequestDetail),
        (status = 400, description = "That is not an id", body = ErrorBody),
        (status = 404, description = "No such exchange", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn get_log(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<RequestDetail>, ApiError> {
    detail(&app, &id).await.map(Json)
}
