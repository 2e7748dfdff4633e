//! The figures above the list. They say what holds for what is listed: everything of a time from the archive's own
//! sums, and for a query the newest that it finds, added up one by one so far and no further.

use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri};
use verbatim_core::model::{Exchange, ExchangeId, Outcome, Provenance, Timestamp, Totals};
use verbatim_core::ports::{ListRequest, PortResult, StatsRequest};

use super::{Wanted, encode, total};
use crate::api::step_for;
use crate::find::{Ask, Range, find};
use crate::pages::{Chrome, html};
use crate::state::{App, Shared};
use crate::view::format;

/// Bars of the little chart.
const BARS: usize = 24;
/// From one bar to the next, in the chart's own units.
const STEP: usize = 9;
/// Of what filters match so many are added up.
const SUMMED: usize = 1_000;
/// Of what words find; the index looks each up to say where they stand.
const SUMMED_WORDS: usize = 300;
const HOUR: u64 = 3600;
/// The times over which everything is summed up, in hours: the shortest that holds all is taken.
const SPANS: [u64; 6] = [1, 24, 7 * 24, 30 * 24, 366 * 24, 3_660 * 24];

/// A bar of the little chart.
pub(super) struct Bar {
    pub(super) x: usize,
    pub(super) y: String,
    pub(super) height: String,
    pub(super) failed_height: String,
    pub(super) title: String,
}

/// The figures.
pub(super) struct Sum {
    pub(super) calls: String,
    /// Said below the number of calls.
    pub(super) calls_label: String,
    pub(super) success: String,
    pub(super) median: String,
    pub(super) p95: String,
    pub(super) first_token: String,
    pub(super) tokens: String,
    pub(super) cached: String,
    pub(super) cost: String,
    pub(super) mark: &'static str,
    pub(super) bars: Vec<Bar>,
    /// The little chart's width in its own units.
    pub(super) width: usize,
    /// What the figures are over.
    pub(super) label: String,
}

/// The strip as it stands in a page.
pub(super) struct Strip {
    /// Where its figures come from.
    pub(super) url: String,
    /// The figures; `None` where they come a moment later, so that the list does not wait for them.
    pub(super) sum: Option<Sum>,
}

#[derive(Template)]
#[template(path = "sum_part.html")]
struct SumPart {
    c: Chrome,
    strip: Strip,
    /// How many the list has, for the page to say.
    total: String,
}

/// The figures alone: a page asks for them when it has its list, and again when the list grows. Where there are none
/// to give it keeps what it has.
pub(crate) async fn sum(
    State(app): State<Shared>,
    Query(wanted): Query<Wanted>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let c = Chrome::new(&app, &headers, &uri, "exchanges");
    let q = wanted.q.unwrap_or_default();
    let range = wanted.range.as_deref().and_then(Range::of).unwrap_or_default();
    let Ok(mut ask) = Ask::parse(&app.stores, &q, SUMMED) else {
        return StatusCode::NO_CONTENT.into_response();
    };
    ask.within(&app.stores, range);
    let sum = match Scope::of(&ask, &q, range) {
        Scope::Everything(range) => tokio::try_join!(everything(&app, &c, range), counted(&app, ask)),
        Scope::Found => found(&app, &c, ask, range).await,
        Scope::Bodies => return StatusCode::NO_CONTENT.into_response(),
    };
    match sum {
        Ok((sum, total)) => html(&SumPart { c, strip: Strip { url: url(&q, range), sum: Some(sum) }, total }),
        Err(error) => {
            tracing::warn!(%error, "the list could not be summed up");
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

/// What a strip is over.
enum Scope {
    /// All calls of a time, which the archive has sums of.
    Everything(Range),
    /// What a query finds.
    Found,
    /// What stands in bodies: looking through them once is enough.
    Bodies,
}

impl Scope {
    fn of(ask: &Ask, q: &str, range: Range) -> Self {
        if ask.query.everywhere && !ask.query.text.is_empty() {
            Self::Bodies
        } else if q.trim().is_empty() {
            Self::Everything(range)
        } else {
            Self::Found
        }
    }
}

fn url(q: &str, range: Range) -> String {
    format!("/exchanges/sum?q={}&range={}", encode(q), range.word())
}

impl Strip {
    /// The strip of a page that lists what is asked.
    pub(super) async fn of_page(app: &App, c: &Chrome, ask: &Ask, q: &str, range: Range) -> Option<Self> {
        let url = url(q, range);
        match Scope::of(ask, q, range) {
            Scope::Everything(range) => {
                let sum = everything(app, c, range).await.ok()?;
                Some(Self { url, sum: Some(sum) })
            }
            Scope::Found => Some(Self { url, sum: None }),
            Scope::Bodies => None,
        }
    }
}

async fn everything(app: &App, c: &Chrome, range: Range) -> PortResult<Sum> {
    let (span, label) = match range.span() {
        Some(span) => (span, c.t.calls_in_range),
        None => (span_of_all(app, c.now).await?, c.t.calls_of_all),
    };
    let request =
        StatsRequest { range: c.now.minus(span)..c.now, step: step_for(span), model: None, provider: None };
    let stats = app.ports.archive.stats(request).await?;
    // Without bounds the chart begins where there is something to see.
    let first = match range {
        Range::All => stats.buckets.iter().position(|bucket| bucket.totals.calls > 0).unwrap_or(0),
        _ => 0,
    };
    let buckets = &stats.buckets[first.min(stats.buckets.len().saturating_sub(BARS))..];
    let merged = buckets.chunks(buckets.len().div_ceil(BARS).max(1)).map(|chunk| {
        let mut sum = Totals::default();
        chunk.iter().for_each(|bucket| sum.merge(&bucket.totals));
        (chunk[0].from, sum)
    });
    let merged: Vec<Stretch> = merged.collect();
    let calls_label = calls_word(c, stats.totals.calls).to_owned();
    Ok(figures(c, &stats.totals, &merged, calls_label, label.to_owned()))
}

/// The shortest of the known spans that holds everything.
async fn span_of_all(app: &App, now: Timestamp) -> PortResult<Duration> {
    let spans = SPANS.map(|hours| Duration::from_secs(hours * HOUR));
    for span in spans {
        let before = Some(ExchangeId::lowest_at(now.minus(span)));
        let older = ListRequest { before, limit: 1, ..ListRequest::default() };
        if app.ports.archive.list(older).await?.exchanges.is_empty() {
            return Ok(span);
        }
    }
    Ok(spans[spans.len() - 1])
}

/// How many are listed.
async fn counted(app: &App, ask: Ask) -> PortResult<String> {
    let found = find(&app.stores, Ask { limit: 1, count: true, ..ask }).await?;
    Ok(total(&found))
}

/// The figures of what a query finds, and how many that is.
async fn found(app: &App, c: &Chrome, mut ask: Ask, range: Range) -> PortResult<(Sum, String)> {
    if !ask.query.text.is_empty() {
        ask.limit = SUMMED_WORDS;
    }
    ask.count = true;
    let names_a_time = ask.names_a_time();
    let found = find(&app.stores, ask).await?;
    let ended: Vec<&Exchange> = found
        .items
        .iter()
        .map(|item| &item.exchange)
        .filter(|exchange| exchange.outcome != Outcome::Running)
        .collect();
    let mut totals = Totals::default();
    ended.iter().for_each(|exchange| add(&mut totals, exchange));
    let oldest = ended.iter().map(|exchange| exchange.began_at).min().unwrap_or(c.now);
    let newest = ended.iter().map(|exchange| exchange.began_at).max().unwrap_or(c.now);
    let from = match range.span() {
        Some(span) if found.next.is_none() && !names_a_time => c.now.minus(span),
        _ => oldest,
    };
    let to = if names_a_time { newest } else { newest.max(c.now) };
    let bars = bars_of(&ended, from, to);
    let total = total(&found);
    let (calls_label, label) = match &found.next {
        None => (calls_word(c, totals.calls).to_owned(), c.t.calls_found.to_owned()),
        Some(_) if total.is_empty() => (c.t.newest.to_owned(), c.t.calls_newest.to_owned()),
        Some(_) => (format!("{} {total}", c.t.newest_of), c.t.calls_newest.to_owned()),
    };
    Ok((figures(c, &totals, &bars, calls_label, label), total))
}

/// What is said below a number of calls.
fn calls_word(c: &Chrome, calls: u64) -> &'static str {
    match (c.t.lang, calls) {
        ("en", 1) => c.t.call,
        _ => c.t.calls,
    }
}

/// What a bar stands for: when it begins, and the calls from then on.
type Stretch = (Timestamp, Totals);

/// The bars of single exchanges between two moments.
fn bars_of(exchanges: &[&Exchange], from: Timestamp, to: Timestamp) -> Vec<Stretch> {
    let length = to.since(from).as_micros().max(1);
    let step = to.since(from) / BARS as u32;
    let mut bars: Vec<Stretch> =
        (0..BARS as u32).map(|at| (from.plus(step * at), Totals::default())).collect();
    for exchange in exchanges {
        let at = exchange.began_at.since(from).as_micros() * BARS as u128 / length;
        if let Some(bar) = bars.get_mut(usize::try_from(at).unwrap_or(BARS).min(BARS - 1)) {
            add(&mut bar.1, exchange);
        }
    }
    bars
}

/// Counts an exchange that ended, as the archive's own sums do.
fn add(totals: &mut Totals, exchange: &Exchange) {
    let usage = &exchange.usage;
    let add = |sum: &mut u64, figure: Option<u64>| *sum = sum.saturating_add(figure.unwrap_or(0));
    totals.calls += 1;
    totals.completed += u64::from(exchange.outcome == Outcome::Completed);
    add(&mut totals.input_tokens, usage.input_tokens);
    add(&mut totals.output_tokens, usage.output_tokens);
    add(&mut totals.cache_read_tokens, usage.cache_read_tokens);
    add(&mut totals.cost_micros, exchange.cost_micros);
    totals.estimated += u64::from(usage.provenance == Some(Provenance::Estimated));
    exchange.duration_us.into_iter().for_each(|us| totals.durations.record(us));
    exchange.first_token_us.into_iter().for_each(|us| totals.first_tokens.record(us));
}

fn figures(c: &Chrome, t: &Totals, stretches: &[Stretch], calls_label: String, label: String) -> Sum {
    let cached = if t.input_tokens == 0 { 0.0 } else { t.cache_read_tokens as f64 / t.input_tokens as f64 };
    let most = stretches.iter().map(|(_, totals)| totals.calls).max().unwrap_or(1).max(1) as f64;
    let bars = stretches.iter().enumerate().map(|(at, (from, totals))| {
        let height = |calls: u64| if calls == 0 { 0.0 } else { (calls as f64 / most * 28.0).max(1.5) };
        let failed = totals.calls.saturating_sub(totals.completed);
        Bar {
            x: at * STEP,
            y: format!("{:.1}", 30.0 - height(totals.calls)),
            height: format!("{:.1}", height(totals.calls)),
            failed_height: if failed > 0 { format!("{:.1}", height(failed)) } else { String::new() },
            title: format!(
                "{} · {} {} · {} {}",
                c.zone.short(*from, c.now),
                format::count(totals.calls),
                if totals.calls == 1 { c.t.call } else { c.t.call_count },
                format::count(failed),
                c.t.failed
            ),
        }
    });
    Sum {
        calls: format::count(t.calls),
        calls_label,
        success: t.success_rate().map_or_else(|| format::UNKNOWN.to_owned(), format::percent),
        median: format::duration_or(t.durations.quantile_us(0.5)),
        p95: format::duration_or(t.durations.quantile_us(0.95)),
        first_token: format::duration_or(t.first_tokens.quantile_us(0.5)),
        tokens: format::compact(t.input_tokens.saturating_add(t.output_tokens)),
        cached: format::percent(cached),
        cost: format::cost(t.cost_micros),
        mark: if t.estimated > 0 { " ≈" } else { "" },
        bars: bars.collect(),
        width: stretches.len().max(1) * STEP,
        label,
    }
}

#[cfg(test)]
mod tests {
    use verbatim_testkit::ExchangeBuilder;

    use super::*;

    #[test]
    fn every_exchange_falls_on_a_bar() {
        let from = Timestamp::from_unix_ms(1_795_300_000_000);
        let to = from.plus(Duration::from_secs(240));
        let at = |seconds: u64| {
            let began = from.plus(Duration::from_secs(seconds));
            ExchangeBuilder::minted().with(|exchange| exchange.began_at = began).exchange()
        };
        let exchanges = [at(0), at(5), at(239), at(240)];
        let bars = bars_of(&exchanges.iter().collect::<Vec<_>>(), from, to);
        let calls: Vec<u64> = bars.iter().map(|(_, bar)| bar.calls).collect();
        assert_eq!((calls[0], calls[BARS - 1], calls.iter().sum::<u64>()), (2, 2, 4));
        assert_eq!((bars[0].0, bars[BARS - 1].0), (from, from.plus(Duration::from_secs(230))));
        assert_eq!(bars_of(&[&at(3)], from, from)[BARS - 1].1.calls, 1);
    }
}
