//! The list.

mod sum;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use verbatim_core::model::query::Query as Asked;
use verbatim_core::model::{Exchange, ExchangeId};

use self::sum::Strip;
pub(super) use self::sum::sum;
use super::{Chrome, asks_for, html_with};
use crate::error::ApiError;
use crate::find::{Ask, COUNTED, Found, FoundItem, Range, Where, find};
use crate::state::{App, Shared};
use crate::view::format;
use crate::view::row::Row;
use crate::view::spot::WrongQuery;

/// Rows of one page.
const PAGE: usize = 60;
/// Rows of one page where pages are numbered, as in the flat API.
const NUMBERED: u64 = 20;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    q: Option<String>,
    range: Option<String>,
    cursor: Option<String>,
    /// A numbered page, from 1.
    page: Option<String>,
}

/// A range one can choose.
struct Choice {
    word: &'static str,
    label: &'static str,
    on: bool,
}

struct Quick {
    label: &'static str,
    url: String,
    on: bool,
}

/// Everything below the query box.
struct Results {
    /// Newest first; calls that are under way stand where their ids belong.
    rows: Vec<Row>,
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
    strip: Option<Strip>,
    now_ms: i64,
}

#[derive(Template)]
#[template(path = "exchanges.html")]
struct ExchangesPage {
    c: Chrome,
    q: String,
    ranges: Vec<Choice>,
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
    let range = wanted.range.as_deref().and_then(Range::of).unwrap_or_default();
    let (status, r) = results(&app, &c, &wanted, &q, range).await;
    if asks_for(&headers, "more") {
        return html_with(status, &MorePart { c, r });
    }
    let gateway_url = app.config.gateway_url.clone();
    let (quick, export) = (quick(&c, &q, range), format!("{}&range={}", encode(&q), range.word()));
    if asks_for(&headers, "results") {
        // htmx shows only what came with a success.
        return html_with(StatusCode::OK, &ResultsPart { c, quick, export, r, gateway_url });
    }
    let can_live = app.ports.live.is_some();
    let ranges = choices(&c, range);
    html_with(status, &ExchangesPage { c, q, ranges, quick, export, can_live, r, gateway_url })
}

fn choices(c: &Chrome, chosen: Range) -> Vec<Choice> {
    let label = |range| match range {
        Range::Hour => c.t.last_hour,
        Range::Day => c.t.last_day,
        Range::Week => c.t.last_week,
        Range::Month => c.t.last_month,
        Range::All => c.t.all_time,
    };
    let make = |range: Range| Choice { word: range.word(), label: label(range), on: range == chosen };
    Range::ALL.into_iter().map(make).collect()
}

/// Links that add a condition to the query, or take it away again.
fn quick(c: &Chrome, q: &str, range: Range) -> Vec<Quick> {
    let known = [
        (c.t.quick_failed, "has:error"),
        (c.t.quick_slow, "duration:>10s"),
        (c.t.quick_costly, "cost:>0.1"),
        (c.t.quick_tools, "has:tool"),
        (c.t.quick_streamed, "stream:true"),
    ];
    let words: Vec<&str> = q.split_whitespace().collect();
    let url = |q: &str| format!("/exchanges?q={}&range={}", encode(q), range.word());
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

async fn results(app: &App, c: &Chrome, wanted: &Wanted, q: &str, range: Range) -> (StatusCode, Results) {
    // Taken before the archive is asked, so that nothing falls between the list and the live stream.
    let seen = app.hub.look();
    let mut r = Results {
        rows: Vec::new(),
        total: String::new(),
        next: None,
        live_url: format!("/api/v1/live?rows=1&q={}&after={seen}", encode(q)),
        wrong: None,
        notices: Vec::new(),
        unavailable: None,
        continued: false,
        empty: false,
        numbered: None,
        strip: None,
        now_ms: c.now.as_unix_ms(),
    };
    let mut ask = match Ask::parse(&app.stores, q, PAGE) {
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
    ask.within(&app.stores, range);
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
    let strip = async { if cursor.is_none() { Strip::of_page(app, c, &ask, q, range).await } else { None } };
    let (found, strip) = tokio::join!(find(&app.stores, ask.clone()), strip);
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "the list could not be made");
            r.unavailable = Some(error.to_string());
            return (StatusCode::SERVICE_UNAVAILABLE, r);
        }
    };
    r.notices = notices(&found, c);
    if has_operator(q) {
        r.notices.push(c.t.all_words);
    }
    r.total = total(&found);
    let mut items = found.items;
    if page.is_none_or(|page| page == 1) && !words {
        let running = app.hub.running(50).into_iter();
        let running = running.filter(|exchange| filters.iter().all(|filter| filter.holds(exchange)));
        let within = Within { before: cursor, last: found.next.filter(|_| page.is_none()) };
        merge(&mut items, running.filter(|exchange| within.holds(exchange.id)));
    }
    r.rows = items.iter().map(|item| Row::new(item, c.t, c.zone, c.now)).collect();
    let url = |rest: String| format!("/exchanges?q={}&range={}{rest}", encode(q), range.word());
    match page {
        Some(page) => {
            let before = (page > 1).then(|| url(format!("&page={}", page - 1)));
            let after = found.next.map(|_| url(format!("&page={}", page + 1)));
            r.numbered = Some((page, before, after));
        }
        None => r.next = found.next.map(|id| url(format!("&cursor={id}"))),
    }
    if cursor.is_none() {
        r.empty = plain && range == Range::All && r.rows.is_empty();
        if !r.empty {
            r.strip = strip;
        }
    }
    (StatusCode::OK, r)
}

/// What one page of the list holds: what lies outside is on another page.
struct Within {
    /// Only what began before this one.
    before: Option<ExchangeId>,
    /// The last one, where more follow.
    last: Option<ExchangeId>,
}

impl Within {
    fn holds(&self, id: ExchangeId) -> bool {
        self.before.is_none_or(|before| id < before) && self.last.is_none_or(|last| id >= last)
    }
}

/// Puts calls that are under way where their ids belong, newest first. What is archived already stays as it is.
fn merge(items: &mut Vec<FoundItem>, running: impl Iterator<Item = Exchange>) {
    for exchange in running {
        // Where words are not looked for, the list is sorted by id.
        if let Err(at) = items.binary_search_by(|item| exchange.id.cmp(&item.exchange.id)) {
            items.insert(at, FoundItem { exchange, snippets: Vec::new() });
        }
    }
}

/// Whether a query holds what other languages have as an operator, and this one takes for a word.
fn has_operator(q: &str) -> bool {
    // Every other piece stands in quotes.
    let bare = q.split('"').step_by(2);
    bare.flat_map(str::split_whitespace).any(|word| matches!(word, "OR" | "AND" | "NOT" | "-" | "*"))
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

#[cfg(test)]
mod tests {
    use verbatim_core::model::Timestamp;
    use verbatim_testkit::ExchangeBuilder;

    use super::*;

    fn id(second: i64) -> ExchangeId {
        ExchangeId::lowest_at(Timestamp::from_unix_ms(1_795_300_000_000 + second * 1000))
    }

    fn call(second: i64) -> Exchange {
        ExchangeBuilder::new(id(second)).exchange()
    }

    #[test]
    fn what_runs_stands_where_its_id_belongs_and_once() {
        let archived = [9, 7, 3].map(|at| FoundItem { exchange: call(at), snippets: Vec::new() });
        let mut items = Vec::from(archived);
        merge(&mut items, [5, 11, 1, 7].into_iter().map(call));
        let order: Vec<ExchangeId> = items.iter().map(|item| item.exchange.id).collect();
        assert_eq!(order, [11, 9, 7, 5, 3, 1].map(id));
    }

    #[test]
    fn words_that_others_take_for_operators_are_told() {
        for q in ["rain OR snow", "rain AND snow", "a -", "*"] {
            assert!(has_operator(q), "{q}");
        }
        for q in ["rain or snow", "\"rain OR snow\"", "-rain model:gpt*", ""] {
            assert!(!has_operator(q), "{q}");
        }
    }

    #[test]
    fn what_runs_is_on_the_page_that_it_belongs_to() {
        let first = Within { before: None, last: Some(id(5)) };
        let second = Within { before: Some(id(5)), last: None };
        for at in 0..10 {
            assert_eq!((first.holds(id(at)), second.holds(id(at))), (at >= 5, at < 5), "{at}");
        }
    }
}
