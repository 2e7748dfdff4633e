//! How long pages and counts take over many records.

use std::sync::Arc;
use std::time::{Duration, Instant};

use verbatim_archive_sqlite::{ArchiveOptions, SqliteArchive};
use verbatim_core::model::query::{Condition, Field, Filter, Pattern};
use verbatim_core::model::{ExchangeId, ExchangeRecord, Outcome, Timestamp};
use verbatim_core::ports::{Archive, Clock, Commit, ListRequest, StatsRequest, SystemClock};
use verbatim_testkit::ExchangeBuilder;
use verbatim_testkit::traffic::Words;

use crate::system::directory_bytes;

const DAYS: u64 = 30;
const ROUNDS: usize = 20;

pub(crate) async fn run(records: usize) -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir_in(".")?;
    let archive = SqliteArchive::open(directory.path(), Arc::new(SystemClock), &ArchiveOptions::default())?;
    let now = SystemClock.now();
    let mut words = Words::new(5);
    let step = Duration::from_secs(DAYS * 86_400).checked_div(u32::try_from(records)?).unwrap_or_default();
    for from in (0..records).step_by(1000) {
        let batch = from..(from + 1000).min(records);
        let batch =
            batch.map(|n| Commit { record: record(&mut words, now.minus(step * (records - n) as u32), n) });
        archive.commit(batch.collect()).await?;
    }
    let entries = archive.health().await?.outbox;
    println!("{records} records, {} MB, {entries} outbox entries", directory_bytes(directory.path()) >> 20);
    let middle = ExchangeId::lowest_at(now.minus(Duration::from_secs(DAYS * 43_200)));
    let text = |field, text: &str| {
        let runs = text.split('*').map(str::to_owned).collect();
        Filter { field, condition: Condition::Matches(vec![Pattern { runs }]), excluded: false }
    };
    let number = |field, min| Filter {
        field,
        condition: Condition::Number { min: Some(min), max: None },
        excluded: false,
    };
    let outcome = |outcome| Filter {
        field: Field::Outcome,
        condition: Condition::Outcomes(vec![outcome]),
        excluded: false,
    };
    let since = |hours: u64| Filter {
        field: Field::Began,
        condition: Condition::Time { from: Some(now.minus(Duration::from_secs(hours * 3600))), to: None },
        excluded: false,
    };
    let questions: Vec<(&str, Vec<Filter>)> = vec![
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
        ("last hour", vec![since(1)]),
        ("last hour, slow", vec![since(1), number(Field::Duration, 100_000_000)]),
        ("no such path", vec![text(Field::Path, "nowhere")]),
        ("no such duration", vec![number(Field::Duration, 1 << 50)]),
    ];
    println!(
        "{:20} {:>10} {:>10} {:>10} {:>10} {:>8}",
        "", "page p50", "page p95", "from half", "count", "found"
    );
    for (name, filters) in questions {
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
        let half = began.elapsed();
        let began = Instant::now();
        let found = archive.count(&filters, 10_000).await?;
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        let (p50, p95) = (times[ROUNDS / 2], times[ROUNDS * 95 / 100 - 1]);
        println!(
            "{name:20} {:>10} {:>10} {:>10} {:>10} {found:8}",
            ms(p50),
            ms(p95),
            ms(half),
            ms(began.elapsed())
        );
    }
    let began = Instant::now();
    archive.list(ListRequest { skip: records as u64 / 2, limit: 20, ..ListRequest::default() }).await?;
    println!("a numbered page in the middle {:.1?}", began.elapsed());
    for (name, hours, step) in
        [("a day by minutes", 24, 60), ("30 days by hours", 720, 3600), ("10 years by days", 87_600, 86_400)]
    {
        let range = now.minus(Duration::from_secs(hours * 3600))..now;
        let began = Instant::now();
        let stats = archive
            .stats(StatsRequest { range, step: Duration::from_secs(step), model: None, provider: None })
            .await?;
        println!("sums over {name} {:.1?} ({} calls)", began.elapsed(), stats.totals.calls);
    }
    let began = Instant::now();
    archive.health().await?;
    println!("health {:.1?}", began.elapsed());
    Ok(())
}

fn record(words: &mut Words, at: Timestamp, n: usize) -> ExchangeRecord {
    let mut id = *ExchangeId::lowest_at(at).as_bytes();
    id[9..].copy_from_slice(&(n as u64).to_be_bytes()[1..]);
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
