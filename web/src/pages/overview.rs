//! The first page: how much, how well, how dear, and whether everything is recorded.

use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use verbatim_core::model::query::{Condition, Field, Filter};
use verbatim_core::model::{ExchangeId, ModelStats, Timestamp, Totals};
use verbatim_core::ports::{ListRequest, PortResult, StatsRequest};

use super::chrome::unrecorded;
use super::{Chrome, asks_for, html};
use crate::api::{PipelineBody, pipeline};
use crate::find::FoundItem;
use crate::state::{App, Shared};
use crate::text::Text;
use crate::view::format;
use crate::view::row::Row;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    hours: Option<String>,
    page: Option<String>,
    search: Option<String>,
}

/// The spans one can choose, in hours.
const SPANS: [u64; 4] = [1, 24, 168, 720];
/// The usual one.
const DEFAULT: u64 = 24;

impl Wanted {
    /// What the reader picked.
    fn picked(&self) -> Option<u64> {
        let wanted = self.hours.as_deref().and_then(|hours| hours.parse().ok());
        wanted.filter(|hours| SPANS.contains(hours))
    }

    async fn hours(&self, app: &App, now: Timestamp) -> u64 {
        match self.picked() {
            Some(hours) => hours,
            None => fitting(app, now).await.unwrap_or(DEFAULT),
        }
    }
}

/// The span for one who picked none: the shortest while it holds everything, so that a new archive's few minutes are
/// seen; then a day, or where nothing was called for so long, the shortest with a call in it.
async fn fitting(app: &App, now: Timestamp) -> PortResult<u64> {
    let edge = |hours: u64| Some(ExchangeId::lowest_at(now.minus(Duration::from_secs(hours * 3600))));
    let any = async |request: ListRequest| {
        let page = app.ports.archive.list(ListRequest { limit: 1, ..request }).await?;
        Ok(!page.exchanges.is_empty())
    };
    if !any(ListRequest { before: edge(SPANS[0]), ..ListRequest::default() }).await? {
        return Ok(SPANS[0]);
    }
    for hours in SPANS.into_iter().filter(|hours| *hours >= DEFAULT) {
        if any(ListRequest { after: edge(hours), ..ListRequest::default() }).await? {
            return Ok(hours);
        }
    }
    Ok(DEFAULT)
}

struct Span {
    hours: u64,
    label: &'static str,
    on: bool,
}

struct ModelLine {
    model: String,
    provider: String,
    query: String,
    calls: String,
    success: String,
    average: String,
    p95: String,
    tokens_in: String,
    tokens_out: String,
    cached: String,
    cost: String,
    mark: &'static str,
    share: String,
}

struct Figures {
    calls: String,
    success: String,
    failing: bool,
    average: String,
    p95: String,
    first_token: String,
    tokens_in: String,
    tokens_out: String,
    cached: String,
    cost: String,
    mark: &'static str,
}

struct HealthLine {
    label: &'static str,
    value: String,
    note: String,
    bad: bool,
}

/// What the page says of one span of time.
struct Summary {
    hours: u64,
    /// The reader picked no span: charts may begin where there is something to see.
    fitted: bool,
    /// There was a call.
    any: bool,
    figures: Figures,
    models: Vec<ModelLine>,
    failures: Vec<Row>,
    health: Vec<HealthLine>,
    /// What was not kept, in a line, where anything was not.
    alarm: Option<&'static str>,
    problems: Vec<String>,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    c: Chrome,
    spans: Vec<Span>,
    s: Result<Summary, String>,
    /// Nothing was ever recorded.
    empty: bool,
    gateway_url: String,
}

#[derive(Template)]
#[template(path = "overview_figures.html")]
struct FiguresPart {
    c: Chrome,
    s: Result<Summary, String>,
}

/// The page. With `page` or `search`, as the flat API has them, it leads to the list.
pub(super) async fn page(
    State(app): State<Shared>,
    Query(wanted): Query<Wanted>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if wanted.page.is_some() || wanted.search.is_some() {
        let encode = |text: &Option<String>| {
            utf8_percent_encode(text.as_deref().unwrap_or_default(), NON_ALPHANUMERIC).to_string()
        };
        let query = format!("/exchanges?q={}&page={}", encode(&wanted.search), encode(&wanted.page));
        return Redirect::to(&query).into_response();
    }
    let c = Chrome::new(&app, &headers, &uri, "overview");
    let chosen = wanted.hours(&app, c.now).await;
    let s = summary(&app, &c, chosen, wanted.picked().is_none()).await;
    let empty = match app.ports.archive.list(ListRequest { limit: 1, ..ListRequest::default() }).await {
        Ok(page) => page.exchanges.is_empty() && app.hub.running(1).is_empty(),
        Err(_) => false,
    };
    let spans = SPANS.into_iter().zip([c.t.last_hour, c.t.last_day, c.t.last_week, c.t.last_month]);
    let spans = spans.map(|(hours, label)| Span { hours, label, on: hours == chosen }).collect();
    html(&OverviewPage { c, spans, s, empty, gateway_url: app.config.gateway_url.clone() })
}

/// The figures alone, for the page to renew them.
pub(super) async fn figures(
    State(app): State<Shared>,
    Query(wanted): Query<Wanted>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if !asks_for(&headers, "figures") {
        return Redirect::to("/").into_response();
    }
    let c = Chrome::new(&app, &headers, &uri, "overview");
    let hours = wanted.hours(&app, c.now).await;
    let s = summary(&app, &c, hours, wanted.picked().is_none()).await;
    html(&FiguresPart { c, s })
}

async fn summary(app: &App, c: &Chrome, hours: u64, fitted: bool) -> Result<Summary, String> {
    ask(app, c, hours, fitted).await.map_err(|error| {
        tracing::warn!(%error, "the overview could not be summed up");
        error.to_string()
    })
}

async fn ask(app: &App, c: &Chrome, hours: u64, fitted: bool) -> PortResult<Summary> {
    let span = Duration::from_secs(hours * 3600);
    let range = c.now.minus(span)..c.now;
    // One stretch: the page shows no course of time, and shorter ones would be read minute by minute at their ends.
    let request = StatsRequest { range: range.clone(), step: span, model: None, provider: None };
    let archive = &app.ports.archive;
    let (stats, models, failures) = tokio::try_join!(
        archive.stats(request),
        archive.model_stats(range.clone()),
        failures(app, c, range.start)
    )?;
    let most = models.iter().map(|model| model.totals.calls).max().unwrap_or(1).max(1);
    let health = pipeline(app).await;
    Ok(Summary {
        hours,
        fitted,
        any: stats.totals.calls > 0,
        figures: figures_of(&stats.totals),
        models: models.iter().take(50).map(|model| line(model, most)).collect(),
        failures,
        alarm: alarm(&health, c.t),
        problems: health.problems.clone(),
        health: health_lines(&health, c.t),
    })
}

async fn failures(app: &App, c: &Chrome, from: Timestamp) -> PortResult<Vec<Row>> {
    let filter = |field, condition| Filter { field, condition, excluded: false };
    let filters = vec![
        filter(Field::HasError, Condition::Is(true)),
        filter(Field::Began, Condition::Time { from: Some(from), to: None }),
    ];
    let page = app.ports.archive.list(ListRequest { filters, limit: 6, ..ListRequest::default() }).await?;
    let rows = page.exchanges.into_iter().map(|exchange| FoundItem { exchange, snippets: Vec::new() });
    Ok(rows.map(|item| Row::new(&item, c.t, c.zone, c.now)).collect())
}

fn estimated(totals: &Totals) -> &'static str {
    if totals.estimated > 0 { " ≈" } else { "" }
}

fn cached(totals: &Totals) -> String {
    if totals.input_tokens == 0 {
        return format::UNKNOWN.to_owned();
    }
    format::percent(totals.cache_read_tokens as f64 / totals.input_tokens as f64)
}

fn success(totals: &Totals) -> String {
    totals.success_rate().map_or_else(|| format::UNKNOWN.to_owned(), format::percent)
}

fn figures_of(totals: &Totals) -> Figures {
    Figures {
        calls: format::count(totals.calls),
        success: success(totals),
        failing: totals.success_rate().is_some_and(|rate| rate < 0.95),
        average: format::duration_or(totals.average_duration_us()),
        p95: format::duration_or(totals.durations.quantile_us(0.95)),
        first_token: format::duration_or(totals.first_tokens.quantile_us(0.5)),
        tokens_in: format::compact(totals.input_tokens),
        tokens_out: format::compact(totals.output_tokens),
        cached: cached(totals),
        cost: format::cost(totals.cost_micros),
        mark: estimated(totals),
    }
}

fn line(stats: &ModelStats, most: u64) -> ModelLine {
    let totals = &stats.totals;
    let quoted = stats.model.replace('\\', "\\\\").replace('"', "\\\"");
    let query = if stats.model.is_empty() { "-model:*".to_owned() } else { format!("model:\"{quoted}\"") };
    ModelLine {
        model: stats.model.clone(),
        provider: stats.provider.clone(),
        query: utf8_percent_encode(&query, NON_ALPHANUMERIC).to_string(),
        calls: format::count(totals.calls),
        success: success(totals),
        average: format::duration_or(totals.average_duration_us()),
        p95: format::duration_or(totals.durations.quantile_us(0.95)),
        tokens_in: format::compact(totals.input_tokens),
        tokens_out: format::compact(totals.output_tokens),
        cached: cached(totals),
        cost: format::cost(totals.cost_micros),
        mark: estimated(totals),
        share: format!("{:.1}", totals.calls as f64 / most as f64 * 100.0),
    }
}

/// What was not kept: parts of calls weigh more than none of them, for one looks at what seems whole.
fn alarm(health: &PipelineBody, t: &Text) -> Option<&'static str> {
    let gateway = health.gateway.filter(|_| health.status == "losing")?;
    Some(if gateway.lost_bytes > 0 { t.lost_alarm } else { t.unrecorded_alarm })
}

fn health_lines(health: &PipelineBody, t: &'static Text) -> Vec<HealthLine> {
    let line = |label, value, note, bad| HealthLine { label, value, note, bad };
    let mut lines = Vec::new();
    if let Some(gateway) = health.gateway {
        let of = |used, limit| format!("{} / {}", format::bytes(used), format::bytes(limit));
        lines.push(line(t.queue, of(gateway.queue_bytes, gateway.queue_limit_bytes), String::new(), false));
        lines.push(line(
            t.spool,
            of(gateway.spool_bytes, gateway.spool_limit_bytes),
            String::new(),
            gateway.spool_bytes > 0,
        ));
        let bytes = (gateway.lost_bytes > 0).then(|| format::bytes(gateway.lost_bytes));
        let calls = unrecorded(gateway.unrecorded_exchanges, t);
        let lost: Vec<String> = bytes.into_iter().chain(calls).collect();
        let value = if lost.is_empty() { t.lost_none.to_owned() } else { lost.join(" · ") };
        lines.push(line(t.lost, value, String::new(), !lost.is_empty()));
    }
    if let Some(log) = health.log {
        let note = format!("{} {}", format::count(log.ends_pending), t.log_pending);
        lines.push(line(t.log, format::bytes(log.bytes), note, log.dead_letters > 0));
    }
    if let Some(archive) = health.archive {
        let bytes = format::bytes(archive.bytes);
        let mut note = match t.lang {
            "en" => format!("{bytes} {}", t.on_disk),
            _ => format!("{} {bytes}", t.on_disk),
        };
        // Before there is much, files that are laid out in advance say nothing of what a byte takes.
        if archive.captured_bytes > 32_000_000 {
            let share = archive.bytes as f64 / archive.captured_bytes as f64;
            note = match t.lang {
                "en" => format!("{note} · {} {}", format::percent(share), t.of_captured),
                _ => format!("{note} · {} {}", t.of_captured, format::percent(share)),
            };
        }
        lines.push(line(
            t.archive,
            format!("{} {}", format::count(archive.exchanges), t.records),
            note,
            false,
        ));
    }
    match health.search {
        Some(search) => {
            let waiting = health.archive.map_or(0, |archive| archive.outbox);
            let note = format!("{} {}", format::count(waiting), t.index_waiting);
            let failed = health.archive.is_some_and(|archive| archive.outbox_failed > 0);
            let value = format!("{} {}", format::count(search.documents), t.documents);
            lines.push(line(t.search_index, value, note, failed));
        }
        None => lines.push(line(t.search_index, t.not_set_up.to_owned(), String::new(), false)),
    }
    lines
}
