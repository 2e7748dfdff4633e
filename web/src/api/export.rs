//! A query's whole answer as a file.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderName, HeaderValue, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::ExchangeBody;
use crate::error::{ApiError, ErrorBody};
use crate::export::{Export, ExportError, ExportFormat};
use crate::find::{Ask, Range};
use crate::state::Shared;

/// Tells what whoever asked should know of the answer.
const NOTICE: HeaderName = HeaderName::from_static("x-verbatim-notice");

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportParams {
    /// What to export, in the query language; everything where it is empty.
    q: Option<String>,
    /// How far back: `1h`, `24h`, `7d`, `30d` or `all` (the default). A time that the query names goes before it.
    range: Option<String>,
    /// `jsonl` (the default), `csv` or `parquet`.
    format: Option<String>,
    /// `conversation` to add to each line of JSONL what was said.
    include: Option<String>,
}

fn range(params: &ExportParams) -> Result<Range, ApiError> {
    let Some(word) = params.range.as_deref().filter(|word| !word.is_empty()) else { return Ok(Range::All) };
    Range::of(word).ok_or_else(|| {
        let word: String = word.chars().take(40).collect();
        ApiError::Invalid(format!("range: expected `1h`, `24h`, `7d`, `30d` or `all`, got {word:?}"))
    })
}

impl From<ExportError> for ApiError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Query { query, error } => Self::Query { query, error },
            ExportError::Format(why) => Self::Invalid(why),
            ExportError::Store(error) => Self::Port(error),
            ExportError::Stopped | ExportError::Encoding(_) => Self::Internal(error.to_string()),
        }
    }
}

/// Everything that a query matches, newest first, as JSON lines, CSV or Apache Parquet.
///
/// All three have the same fields. In CSV a cell that a spreadsheet would take for a formula begins with an apostrophe,
/// and lists are words with spaces between them. In Parquet numbers are 64 bits, times are microseconds in UTC, lists
/// are lists, and what is not known is null; columns are compressed with zstd. Where `in:all` looked back no further than
/// a day because the query says no time, the header `x-verbatim-notice` says so.
#[utoipa::path(
    get, path = "/api/v1/export", tag = "exchanges", params(ExportParams),
    responses(
        (status = 200, description = "An exchange a line or row: `Exchange` as JSON, or its fields as columns",
            content(
                (ExchangeBody = "application/x-ndjson"),
                (String = "text/csv"),
                (Vec<u8> = "application/vnd.apache.parquet")
            )),
        (status = 400, description = "The query, range or format can't be read", body = ErrorBody),
        (status = 503, description = "The archive or the search index can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn export(
    State(app): State<Shared>,
    Query(params): Query<ExportParams>,
) -> Result<Response, ApiError> {
    let format = ExportFormat::of(params.format.as_deref().unwrap_or_default(), params.include.as_deref())?;
    let stores = Arc::clone(&app.stores);
    let mut ask = Ask::parse(&stores, params.q.as_deref().unwrap_or_default(), 0)?;
    ask.within(&stores, range(&params)?);
    let export = Export::of(stores, ask, format, app.stop.clone()).await?;
    let notice = export.notice();
    // An error breaks the download off, so that a cut file never looks whole.
    let pieces = stream::try_unfold(export, |mut export| async move {
        let piece = export.next().await.map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>(piece.map(|piece| (piece, export)))
    });
    let mut response = Body::from_stream(pieces).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    let disposition = format!("attachment; filename=\"exchanges.{}\"", format.name());
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    if let Some(notice) = notice {
        response.headers_mut().insert(NOTICE, HeaderValue::from_static(notice));
    }
    Ok(response)
}
