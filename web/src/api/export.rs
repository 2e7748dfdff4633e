//! A query's whole answer as a file.

use std::collections::VecDeque;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use serde::Deserialize;
use utoipa::IntoParams;
use verbatim_core::model::Exchange;

use super::{ConversationBody, ExchangeBody};
use crate::error::{ApiError, ErrorBody};
use crate::find::{Ask, FoundItem, Range, find};
use crate::heavy::heavy;
use crate::reading;
use crate::state::Shared;

const PAGE: usize = 200;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportParams {
    /// What to export, in the query language; everything where it is empty.
    q: Option<String>,
    /// How far back: `1h`, `24h`, `7d`, `30d` or `all` (the default). A time that the query names goes before it.
    range: Option<String>,
    /// `jsonl` (the default) or `csv`.
    format: Option<String>,
    /// `conversation` to add to each line of JSONL what was said.
    include: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Format {
    Csv,
    Jsonl { conversation: bool },
}

impl Format {
    fn read(params: &ExportParams) -> Result<Self, ApiError> {
        let conversation = match params.include.as_deref() {
            None | Some("") => false,
            Some("conversation") => true,
            Some(other) => {
                let other: String = other.chars().take(40).collect();
                return Err(ApiError::Invalid(format!("include: expected `conversation`, got {other:?}")));
            }
        };
        match params.format.as_deref() {
            None | Some("" | "jsonl") => Ok(Self::Jsonl { conversation }),
            Some("csv") if !conversation => Ok(Self::Csv),
            Some("csv") => Err(ApiError::Invalid("include: a conversation needs format=jsonl".to_owned())),
            Some(other) => {
                let other: String = other.chars().take(40).collect();
                Err(ApiError::Invalid(format!("format: expected `jsonl` or `csv`, got {other:?}")))
            }
        }
    }
}

fn range(params: &ExportParams) -> Result<Range, ApiError> {
    let Some(word) = params.range.as_deref().filter(|word| !word.is_empty()) else { return Ok(Range::All) };
    Range::of(word).ok_or_else(|| {
        let word: String = word.chars().take(40).collect();
        ApiError::Invalid(format!("range: expected `1h`, `24h`, `7d`, `30d` or `all`, got {word:?}"))
    })
}

/// Everything that a query matches, newest first, as JSON lines or CSV.
///
/// In CSV a cell that a spreadsheet would take for a formula begins with an apostrophe.
#[utoipa::path(
    get, path = "/api/v1/export", tag = "exchanges", params(ExportParams),
    responses(
        (status = 200, description = "A line an exchange: `Exchange` as JSON, or CSV with a header line",
            content((ExchangeBody = "application/x-ndjson"), (String = "text/csv"))),
        (status = 400, description = "The query, range or format can't be read", body = ErrorBody),
        (status = 503, description = "The archive or the search index can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn export(
    State(app): State<Shared>,
    Query(params): Query<ExportParams>,
) -> Result<Response, ApiError> {
    let format = Format::read(&params)?;
    let mut ask = Ask::parse(&app, params.q.as_deref().unwrap_or_default(), PAGE)?;
    ask.within(&app, range(&params)?);
    // Asked before the head is sent, so that what can't be answered is an error and not an empty file.
    let first = find(&app, ask.clone()).await?;
    if let Some(notice) = first.notices.iter().find(|notice| notice.code == "search_unavailable") {
        return Err(verbatim_core::ports::PortError::Transient(notice.message.clone()).into());
    }
    let (content_type, name) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "exchanges.csv"),
        Format::Jsonl { .. } => ("application/x-ndjson", "exchanges.jsonl"),
    };
    let state = Exporting {
        app,
        format,
        before: first.next,
        more: first.next.is_some(),
        ask,
        ready: first.items.into(),
        head: format == Format::Csv,
    };
    let lines = stream::try_unfold(state, |mut state| async move {
        Ok::<_, std::io::Error>(state.next().await?.map(|bytes| (bytes, state)))
    });
    let mut response = Body::from_stream(lines).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

struct Exporting {
    app: Shared,
    format: Format,
    ask: Ask,
    before: Option<verbatim_core::model::ExchangeId>,
    more: bool,
    ready: VecDeque<FoundItem>,
    head: bool,
}

impl Exporting {
    /// The next piece of the file; an error breaks the download off, so that a cut file never looks whole.
    async fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        if std::mem::take(&mut self.head) {
            return csv_line(COLUMNS.iter().map(|(name, _)| (*name).to_owned())).map(Some);
        }
        while self.ready.is_empty() {
            if !self.more || self.app.stop.is_cancelled() {
                return Ok(None);
            }
            self.ask.before = self.before;
            let found = find(&self.app, self.ask.clone()).await.map_err(std::io::Error::other)?;
            if found.notices.iter().any(|notice| notice.code == "search_unavailable") {
                return Err(std::io::Error::other("the search index went away"));
            }
            self.more = found.next.is_some();
            self.before = found.next;
            self.ready = found.items.into();
        }
        match self.format {
            Format::Csv => {
                let mut piece = Vec::new();
                for item in self.ready.drain(..) {
                    piece.extend(csv_line(COLUMNS.iter().map(|(_, cell)| safe_cell(cell(&item.exchange))))?);
                }
                Ok(Some(piece.into()))
            }
            Format::Jsonl { conversation: false } => {
                let mut piece = Vec::new();
                for item in self.ready.drain(..) {
                    serde_json::to_writer(&mut piece, &ExchangeBody::from(item.exchange))?;
                    piece.push(b'\n');
                }
                Ok(Some(piece.into()))
            }
            Format::Jsonl { conversation: true } => {
                let Some(item) = self.ready.pop_front() else { return Ok(None) };
                let loaded =
                    reading::load(&self.app, item.exchange.id).await.map_err(std::io::Error::other)?;
                let made = heavy(&self.app, move || {
                    let line = Line {
                        exchange: item.exchange.into(),
                        conversation: loaded.map(|loaded| loaded.reading.into()),
                    };
                    serde_json::to_vec(&line)
                });
                let mut piece = made.await.map_err(std::io::Error::other)??;
                piece.push(b'\n');
                Ok(Some(piece.into()))
            }
        }
    }
}

#[derive(serde::Serialize)]
struct Line {
    #[serde(flatten)]
    exchange: ExchangeBody,
    conversation: Option<ConversationBody>,
}

type Column = (&'static str, fn(&Exchange) -> String);

fn shown<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

const COLUMNS: &[Column] = &[
    ("id", |exchange| exchange.id.to_string()),
    ("began_at", |exchange| exchange.began_at.to_string()),
    ("outcome", |exchange| exchange.outcome.to_string()),
    ("integrity", |exchange| exchange.integrity.to_string()),
    ("status", |exchange| shown(exchange.status)),
    ("method", |exchange| exchange.method.clone()),
    ("path", |exchange| exchange.path.clone()),
    ("provider", |exchange| exchange.provider.clone()),
    ("dialect", |exchange| exchange.dialect.to_string()),
    ("model_asked", |exchange| shown(exchange.model_asked.as_deref())),
    ("model_served", |exchange| shown(exchange.model_served.as_deref())),
    ("app", |exchange| shown(exchange.caller.app.as_deref())),
    ("project", |exchange| shown(exchange.caller.project.as_deref())),
    ("owner", |exchange| shown(exchange.caller.owner.as_deref())),
    ("session", |exchange| shown(exchange.session.as_deref())),
    ("tags", |exchange| exchange.tags.join(" ")),
    ("streamed", |exchange| exchange.streamed.to_string()),
    ("first_token_us", |exchange| shown(exchange.first_token_us)),
    ("duration_us", |exchange| shown(exchange.duration_us)),
    ("input_tokens", |exchange| shown(exchange.usage.input_tokens)),
    ("output_tokens", |exchange| shown(exchange.usage.output_tokens)),
    ("cache_read_tokens", |exchange| shown(exchange.usage.cache_read_tokens)),
    ("reasoning_tokens", |exchange| shown(exchange.usage.reasoning_tokens)),
    ("provenance", |exchange| shown(exchange.usage.provenance)),
    ("cost_micros", |exchange| shown(exchange.cost_micros)),
    ("finish_reason", |exchange| shown(exchange.finish_reason.as_deref())),
    ("error", |exchange| shown(exchange.error.as_deref())),
    ("asked", |exchange| exchange.asked_preview.clone()),
    ("answered", |exchange| exchange.answered_preview.clone()),
];

/// Spreadsheets run a cell that begins like a formula (OWASP, "CSV Injection"): an apostrophe makes it text.
fn safe_cell(mut cell: String) -> String {
    let begins_like_a_formula =
        |cell: &str| cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if begins_like_a_formula(&cell) || begins_like_a_formula(cell.trim_start()) {
        cell.insert(0, '\'');
    }
    cell
}

fn csv_line(cells: impl Iterator<Item = String>) -> std::io::Result<Bytes> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells)?;
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_looks_like_a_formula_is_made_text() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=x", " =cmd()", "＝1"] {
            assert!(safe_cell(cell.to_owned()).starts_with('\''), "{cell}");
        }
        for cell in ["", "hello", "1+1", "天气", "{\"a\":1}"] {
            assert_eq!(safe_cell(cell.to_owned()), cell);
        }
    }

    #[test]
    fn cells_with_line_ends_and_quotes_stay_one_cell() {
        let line = csv_line(["a\nb".to_owned(), "say \"hi\", ok".to_owned()].into_iter()).unwrap();
        assert_eq!(line, "\"a\nb\",\"say \"\"hi\"\", ok\"\n");
    }

    #[test]
    fn an_unknown_format_is_told() {
        let params = |format: &str, include: &str| ExportParams {
            q: None,
            range: None,
            format: Some(format.to_owned()),
            include: Some(include.to_owned()),
        };
        assert!(Format::read(&params("parquet", "")).unwrap_err().to_string().contains("parquet"));
        assert!(Format::read(&params("csv", "conversation")).is_err());
        assert_eq!(Format::read(&params("", "conversation")).unwrap(), Format::Jsonl { conversation: true });
    }
}
