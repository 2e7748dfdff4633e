//! How long pages, counts and sums of an archive take over many records: what every adapter's measurement asks.

use std::time::{Duration, Instant};

use verbatim_core::model::query::{Condition, Field, Filter, Pattern};
use verbatim_core::model::{ExchangeId, ExchangeRecord, Outcome, Timestamp};
use verbatim_core::ports::{Archive, Commit, ListRequest, PortResult, StatsRequest};

use crate::ExchangeBuilder;
use crate::traffic::Words;

const DAYS: u64 = 30;
const ROUNDS: usize = 20;

/// Commits so many records without bodies, spread over the thirty days before `now`.
///
/// # Errors
/// Those of the archive.
pub async fn fill(archive: &dyn Archive, now: Timestamp, records: u32) -> PortResult<()> {
    let mut words = Words::new(5);
    let step = Duration::from_secs(DAYS * 86_400).checked_div(records).unwrap_or_default();
    for from in (0..records).step_by(1000) {
        let batch = from..(from + 1000).min(records);
        let batch = batch.map(|n| Commit { record: record(&mut words, now.minus(step * (records - n)), n) });
        archive.commit(batch.collect()).await?;
    }
    Ok(())
}

fn record(words: &mut Words, at: Timestamp, n: u32) -> ExchangeRecord {
    let mut id = *ExchangeId::lowest_at(at).as_bytes();
    id[12..].copy_from_slice(&n.to_be_bytes());
    let id = ExchangeId::try_from(&id[..]).unwrap_or_else(|_| ExchangeId::lowest_at(at));
    let models = ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash", "gpt-4o"];
    let (luck, model) = (words.number(1000), models[words.number(5) as usize]);
    ExchangeBuilder::new(id)
        .with(|exchange| {
            exchange.began_at = at;
            exchange.model_asked = Some(if n % 100_000 == 7 { "rare-model" } else { model }.to_owned());
            exchange.model_served = Some(format!("{model}-2026-01-01"));
            exchange.caller.app = Some(format!("app-{}", words.number(12)));
            exchange.caller.credential = Some("3f9a6c1d5e7b2a40".to_owned());
            exchange.session = (luck < 600).then(|| format!("session-{}", words.number(20_000)));
            exchange.duration_us = Some(100_000 + words.number(5_000_000));
            exchange.asked_preview = words.text(150);
            exchange.answered_preview = words.text(150);
            exchange.tags = if n % 50_000 == 3 { vec!["nightly".to_owned()] } else { Vec::new() };
            if luck < 30 {
                exchange.outcome = Outcome::UpstreamError;
                exchange.status = Some(if luck < 5 { 529 } else { 429 });
                exchange.error = Some(if luck < 5 { "overloaded" } else { "rate limited" }.to_owned());
            }
            if n % 10_000 == 11 {
                exchange.outcome = Outcome::TimedOut;
            }
        })
        .build()
}

/// What people ask, with the filters that ask it.
pub fn questions(now: Timestamp) -> Vec<(&'static str, Vec<Filter>)> {
    let filter = |field, condition| Filter { field, condition, excluded: false };
    let text = |field, text: &str| {
        let runs = text.split('*').map(str::to_owned).collect();
        filter(field, Condition::Matches(vec![Pattern { runs }]))
    };
    let number = |field, min| filter(field, Condition::Number { min: Some(min), max: None });
    let outcome = |outcome| filter(Field::Outcome, Condition::Outcomes(vec![outcome]));
    let hour = now.minus(Duration::from_secs(3600));
    let last_hour = || filter(Field::Began, Condition::Time { from: Some(hour), to: None });
    vec![
        ("everything", vec![]),
        ("common model", vec![text(Field::Model, "gpt-4o")]),
        ("rare model", vec![text(Field::Model, "rare-model")]),
        ("model with a star", vec![text(Field::Model, "claude-*")]),
        ("status from 400", vec![number(Field::Status, 400)]),
        ("status from 600", vec![number(Field::Status, 600)]),
        ("one session", vec![text(Field::Session, "session-77")]),
        ("timed out", vec![outcome(Outcome::TimedOut)]),
        ("completed", vec![outcome(Outcome::Completed)]),
        ("error text", vec![text(Field::Error, "overloaded")]),
        ("one app", vec![text(Field::App, "app-7")]),
        ("model and status", vec![text(Field::Model, "gpt-4o"), number(Field::Status, 500)]),
        ("app and error", vec![text(Field::App, "app-7"), text(Field::Error, "overloaded")]),
        ("rare tag", vec![text(Field::Tag, "nightly")]),
        ("last hour", vec![last_hour()]),
        ("last hour, slow", vec![last_hour(), number(Field::Duration, 100_000_000)]),
        ("no such path", vec![text(Field::Path, "nowhere")]),
        ("no such duration", vec![number(Field::Duration, 1 << 50)]),
    ]
}

/// Asks all of it of an archive that was filled at `now`, and tells line by line how long each took.
///
/// # Errors
/// Those of the archive.
pub async fn lists(
    archive: &dyn Archive,
    now: Timestamp,
    records: u32,
    mut tell: impl FnMut(&str),
) -> PortResult<()> {
    tell(&format!(
        "{:20} {:>10} {:>10} {:>10} {:>10} {:>8}",
        "", "page p50", "page p95", "from half", "count", "found"
    ));
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let middle = ExchangeId::lowest_at(now.minus(Duration::from_secs(DAYS * 43_200)));
    for (name, filters) in questions(now) {
        let request = ListRequest { filters: filters.clone(), limit: 50, ..ListRequest::default() };
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            archive.list(request.clone()).await?;
            times.push(began.elapsed());
        }
        times.sort();
        let began = Instant::now();
        archive.list(ListRequest { before: Some(middle), ..request }).await?;
        let half = ms(began.elapsed());
        let began = Instant::now();
        let found = archive.count(&filters, 10_000).await?;
        let (p50, p95) = (ms(times[ROUNDS / 2]), ms(times[ROUNDS * 95 / 100 - 1]));
        let count = ms(began.elapsed());
        tell(&format!("{name:20} {p50:>10} {p95:>10} {half:>10} {count:>10} {found:8}"));
    }
    let began = Instant::now();
    let skip = u64::from(records) / 2;
    archive.list(ListRequest { skip, limit: 20, ..ListRequest::default() }).await?;
    tell(&format!("a numbered page in the middle {:.1?}", began.elapsed()));
    for (name, hours, step) in
        [("a day by minutes", 24, 60), ("30 days by hours", 720, 3600), ("10 years by days", 87_600, 86_400)]
    {
        let range = now.minus(Duration::from_secs(hours * 3600))..now;
        let request = StatsRequest { range, step: Duration::from_secs(step), model: None, provider: None };
        let began = Instant::now();
        let calls = archive.stats(request).await?.totals.calls;
        tell(&format!("sums over {name} {:.1?} ({calls} calls)", began.elapsed()));
    }
    let began = Instant::now();
    archive.health().await?;
    tell(&format!("health {:.1?}", began.elapsed()));
    Ok(())
}
