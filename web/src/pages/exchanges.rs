//! The list.

use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use verbatim_core::model::query::{Condition, Field, Filter, Query as Asked};
use verbatim_core::model::{ExchangeId, Totals};
use verbatim_core::ports::StatsRequest;

use super::{Chrome, asks_for, html_with};
use crate::api::step_for;
use crate::error::ApiError;
use crate::find::{Ask, COUNTED, Found, FoundItem, Where, find};
use crate::state::{App, Shared};
use crate::view::format;
use crate::view::row::Row;
use crate::view::spot::WrongQuery;

/// Rows of one page.
const PAGE: usize = 60;
/// Rows of one page where pages are numbered: what earlier tools had.
const NUMBERED: u64 = 20;
/// Bars of the little chart.
const BARS: usize = 24;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    q: Option<String>,
    range: Option<String>,
    cursor: Option<String>,
    /// A numbered page, from 1.
    page: Option<String>,
}

struct Range {
    word: &'static str,
    label: &'static str,
    on: bool,
    span: Option<Duration>,
}

struct Quick {
    label: &'static str,
    url: String,
    on: bool,
}

/// A bar of the little chart.
struct Bar {
    x: usize,
    y: String,
    height: String,
    failed_height: String,
    title: String,
}

struct Sum {
    calls: String,
    success: String,
    median: String,
    p95: String,
    first_token: String,
    tokens: String,
    cached: String,
    cost: String,
    mark: &'static str,
    bars: Vec<Bar>,
    /// What the figures are over.
    label: &'static str,
}

/// Everything below the query box.
struct Results {
    rows: Vec<Row>,
    running: Vec<Row>,
    total: String,
    next: Option<String>,
    live_url: String,
    wrong: Option<WrongQuery>,
    notices: Vec<&'static str>,
    unavailable: Option<String>,
    /// Whether this continues a list that is shown already.
    continued: bool,
    /// Nothing was ever recorded.
    empty: bool,
    numbered: Option<(u64, Option<String>, Option<String>)>,
    sum: Option<Sum>,
    now_ms: i64,
}

#[derive(Template)]
#[template(path = "exchanges.html")]
struct ExchangesPage {
    c: Chrome,
    q: String,
    ranges: Vec<Range>,
    quick: Vec<Quick>,
    export: String,
    can_live: bool,
    r: Results,
    gateway_url: String,
}

#[derive(Template)]
#[template(path = "results.html")]
struct ResultsPart {
    c: Chrome,
    quick: Vec<Quick>,
    export: String,
    r: Results,
    gateway_url: String,
}

#[derive(Template)]
#[template(path = "more.html")]
struct MorePart {
    c: Chrome,
    r: Results,
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The list, or the part of it that htmx asks for.
pub(super) async fn page(
    State(app): State<Shared>,
    Query(wanted): Query<Wanted>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let c = Chrome::new(&app, &headers, &uri, "exchanges");
    let q = wanted.q.clone().unwrap_or_default();
    let ranges = ranges(&c, wanted.range.as_deref());
    let span = ranges.iter().find(|range| range.on).and_then(|range| range.span);
    let word = ranges.iter().find(|range| range.on).map_or("all", |range| range.word);
    let (status, r) = results(&app, &c, &wanted, &q, span, word).await;
    if asks_for(&headers, "more") {
        return html_with(status, &MorePart { c, r });
    }
    let gateway_url = app.config.gateway_url.clone();
    let (quick, export) = (quick(&c, &q, word), encode(&q));
    if asks_for(&headers, "results") {
        // htmx shows only what came with a success.
        return html_with(StatusCode::OK, &ResultsPart { c, quick, export, r, gateway_url });
    }
    let can_live = app.ports.live.is_some();
    html_with(status, &ExchangesPage { c, q, ranges, quick, export, can_live, r, gateway_url })
}

fn ranges(c: &Chrome, wanted: Option<&str>) -> Vec<Range> {
    let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
    let known = [
        ("1h", c.t.last_hour, hours(1)),
        ("24h", c.t.last_day, hours(24)),
        ("7d", c.t.last_week, hours(168)),
        ("30d", c.t.last_month, hours(720)),
        ("all", c.t.all_time, None),
    ];
    let chosen = known.iter().map(|(word, ..)| *word).find(|word| Some(*word) == wanted).unwrap_or("all");
    let make = |(word, label, span)| Range { word, label, on: word == chosen, span };
    known.into_iter().map(make).collect()
}

/// Links that add a condition to the query, or take it away again.
fn quick(c: &Chrome, q: &str, range: &str) -> Vec<Quick> {
    let known = [
        (c.t.quick_failed, "has:error"),
        (c.t.quick_slow, "duration:>10s"),
        (c.t.quick_costly, "cost:>0.1"),
        (c.t.quick_tools, "has:tool"),
        (c.t.quick_streamed, "stream:true"),
    ];
    let words: Vec<&str> = q.split_whitespace().collect();
    let url = |q: &str| format!("/exchanges?q={}&range={range}", encode(q));
    let all = Quick { label: c.t.quick_all, url: url(""), on: q.trim().is_empty() };
    let others = known.into_iter().map(|(label, condition)| {
        let on = words.contains(&condition);
        let q = if on {
            words.iter().filter(|word| **word != condition).copied().collect::<Vec<_>>().join(" ")
        } else {
            [q.trim(), condition]
                .iter()
                .filter(|part| !part.is_empty())
                .copied()
                .collect::<Vec<_>>()
                .join(" ")
        };
        Quick { label, url: url(&q), on }
    });
    std::iter::once(all).chain(others).collect()
}

async fn results(
    app: &App,
    c: &Chrome,
    wanted: &Wanted,
    q: &str,
    span: Option<Duration>,
    range: &str,
) -> (StatusCode, Results) {
    // Taken before the archive is asked, so that nothing falls between the list and the live stream.
    let seen = app.hub.look();
    let mut r = Results {
        rows: Vec::new(),
        running: Vec::new(),
        total: String::new(),
        next: None,
        live_url: format!("/api/v1/live?rows=1&q={}&after={seen}", encode(q)),
        wrong: None,
        notices: Vec::new(),
        unavailable: None,
        continued: false,
        empty: false,
        numbered: None,
        sum: None,
        now_ms: c.now.as_unix_ms(),
    };
    let mut ask = match Ask::parse(app, q, PAGE) {
        Ok(ask) => ask,
        Err(ApiError::Query { query, error }) => {
            r.wrong = Some(WrongQuery::new(&query, &error));
            return (StatusCode::BAD_REQUEST, r);
        }
        Err(error) => {
            r.unavailable = Some(error.to_string());
            return (error.status(), r);
        }
    };
    let plain = ask.query == Asked::default();
    let has_time = ask.query.filters.iter().any(|filter| filter.field == Field::Began);
    if let Some(span) = span.filter(|_| !has_time) {
        let condition = Condition::Time { from: Some(c.now.minus(span)), to: None };
        ask.query.filters.push(Filter { field: Field::Began, condition, excluded: false });
    }
    let cursor = wanted.cursor.as_deref().and_then(|cursor| cursor.parse::<ExchangeId>().ok());
    r.continued = cursor.is_some();
    ask.before = cursor;
    ask.count = cursor.is_none();
    let page = wanted.page.as_deref().and_then(|page| page.parse::<u64>().ok()).filter(|page| *page > 0);
    if let Some(page) = page {
        ask.skip = (page - 1).saturating_mul(NUMBERED);
        ask.limit = usize::try_from(NUMBERED).unwrap_or(20);
    }
    let words = !ask.query.text.is_empty();
    let filters = ask.query.filters.clone();
    let summed = async { if cursor.is_none() { sum(app, c, span).await } else { None } };
    let (found, summed) = tokio::join!(find(app, ask), summed);
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "the list could not be made");
            r.unavailable = Some(error.to_string());
            return (StatusCode::SERVICE_UNAVAILABLE, r);
        }
    };
    r.notices = notices(&found, c);
    r.total = total(&found);
    let row = |item: &FoundItem| Row::new(item, c.t, c.zone, c.now);
    if cursor.is_none() && page.is_none_or(|page| page == 1) && !words {
        let running = app.hub.running(50).into_iter();
        let running = running.filter(|exchange| filters.iter().all(|filter| filter.holds(exchange)));
        let archived = |id| found.items.iter().any(|item| item.exchange.id == id);
        r.running = running
            .filter(|exchange| !archived(exchange.id))
            .map(|exchange| row(&FoundItem { exchange, snippets: Vec::new() }))
            .collect();
    }
    r.rows = found.items.iter().map(row).collect();
    let url = |rest: String| format!("/exchanges?q={}&range={range}{rest}", encode(q));
    match page {
        Some(page) => {
            let before = (page > 1).then(|| url(format!("&page={}", page - 1)));
            let after = found.next.map(|_| url(format!("&page={}", page + 1)));
            r.numbered = Some((page, before, after));
        }
        None => r.next = found.next.map(|id| url(format!("&cursor={id}"))),
    }
    if cursor.is_none() {
        r.empty = plain && span.is_none() && r.rows.is_empty() && r.running.is_empty();
        if !r.empty {
            r.sum = summed;
        }
    }
    (StatusCode::OK, r)
}

fn notices(found: &Found, c: &Chrome) -> Vec<&'static str> {
    let text = |code: &str, first: bool| match code {
        "search_unavailable" => c.t.words_passed_over,
        _ if first && found.next.is_none() => c.t.scan_day,
        _ => c.t.scan_limited,
    };
    let told = found.notices.iter().enumerate().map(|(at, notice)| text(notice.code, at == 0));
    let mut told: Vec<&'static str> = told.collect();
    told.dedup();
    told
}

fn total(found: &Found) -> String {
    match found.total {
        Some(total) if total >= COUNTED => format!("{}+", format::count(COUNTED)),
        Some(total) => format::count(total),
        None if found.answered_by == Where::Bodies && found.next.is_none() => {
            format::count(found.items.len() as u64)
        }
        None => String::new(),
    }
}

/// Sums over the chosen time; over the last day where that is without bounds.
async fn sum(app: &App, c: &Chrome, span: Option<Duration>) -> Option<Sum> {
    let label = if span.is_some() { c.t.calls_in_range } else { c.t.calls_of_day };
    let span = span.unwrap_or(Duration::from_secs(24 * 3600));
    let request =
        StatsRequest { range: c.now.minus(span)..c.now, step: step_for(span), model: None, provider: None };
    let stats = app.ports.archive.stats(request).await.ok()?;
    let t = &stats.totals;
    let cached = if t.input_tokens == 0 { 0.0 } else { t.cache_read_tokens as f64 / t.input_tokens as f64 };
    let merged: Vec<Totals> = stats
        .buckets
        .chunks(stats.buckets.len().div_ceil(BARS).max(1))
        .map(|chunk| {
            let mut sum = Totals::default();
            chunk.iter().for_each(|bucket| sum.merge(&bucket.totals));
            sum
        })
        .collect();
    let most = merged.iter().map(|totals| totals.calls).max().unwrap_or(1).max(1) as f64;
    let bars = merged.iter().enumerate().map(|(at, totals)| {
        let height = |calls: u64| if calls == 0 { 0.0 } else { (calls as f64 / most * 28.0).max(1.5) };
        let failed = totals.calls.saturating_sub(totals.completed);
        Bar {
            x: at * 9,
            y: format!("{:.1}", 30.0 - height(totals.calls)),
            height: format!("{:.1}", height(totals.calls)),
            failed_height: if failed > 0 { format!("{:.1}", height(failed)) } else { String::new() },
            title: format!(
                "{} {} · {} {}",
                format::count(totals.calls),
                c.t.calls,
                format::count(failed),
                c.t.failed
            ),
        }
    });
    Some(Sum {
        calls: format::count(t.calls),
        success: t.success_rate().map_or_else(|| format::UNKNOWN.to_owned(), format::percent),
        median: format::duration_or(t.durations.quantile_us(0.5)),
        p95: format::duration_or(t.durations.quantile_us(0.95)),
        first_token: format::duration_or(t.first_tokens.quantile_us(0.5)),
        tokens: format::compact(t.input_tokens + t.output_tokens),
        cached: format::percent(cached),
        cost: format::cost(t.cost_micros),
        mark: if t.estimated > 0 { " ≈" } else { "" },
        bars: bars.collect(),
        label,
    })
}
