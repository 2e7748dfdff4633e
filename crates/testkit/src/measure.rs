//! How long pages, counts and sums of an archive take over many records: what every adapter's measurement asks.

use std::time::{Duration, Instant};

use verbatim_core::model::query::{Condition, Field, Filter, Pattern};
use verbatim_core::model::{ExchangeId, Outcome, Timestamp};
use verbatim_core::ports::{Archive, ListRequest, PortResult, StatsRequest};

use crate::history::{self, DAYS};

const ROUNDS: usize = 20;

/// Commits so many records, spread over the [`DAYS`] before `now`.
///
/// # Errors
/// Those of the archive.
pub async fn fill(archive: &dyn Archive, now: Timestamp, records: u32) -> PortResult<()> {
    for from in (0..records).step_by(1000) {
        archive.commit(history::commits(now, records, from..(from + 1000).min(records))).await?;
    }
    Ok(())
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
    for (name, hours, step) in [
        ("a day by minutes", 24, 60),
        ("30 days by hours", 720, 3600),
        ("30 days in one", 720, 720 * 3600),
        ("10 years by days", 87_600, 86_400),
    ] {
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
