//! Lists, filters and the overview over a month's calls in PostgreSQL, by the dashboard's own addresses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use verbatim_archive_postgres::{PostgresArchive, PostgresConfig};
use verbatim_core::model::{ExchangeId, Timestamp};
use verbatim_core::ports::{Archive, Clock, SystemClock};
use verbatim_testkit::history::{self, DAYS};

use super::Bench;
use crate::http::{Connection, get};
use crate::report::Report;
use crate::scale_out::Engines;
use crate::targets::{free_address, get_json};

/// Requests of each address.
const LOOKS: u64 = 40;
/// Records of one commit, and commits at a time.
const BATCH: u32 = 1_000;
const COMMITTERS: usize = 3;
/// A page of the list.
const LIST: &str = "/api/v1/exchanges?limit=50";

/// Queries of one condition: frequent and rare values, those that an index finds and those that none does.
const FILTERS: &[&str] = &[
    "model:gpt-4o-mini",
    "model:rare-model",
    "model:no-such-model",
    "model:claude-*",
    "model:nosuch*",
    "provider:openai",
    "provider:local",
    "provider:nobody",
    "dialect:anthropic",
    "dialect:ollama",
    "app:app-0",
    "app:app-11",
    "project:project-3",
    "key:vk_0",
    "key:vk_{n}",
    "owner:user-0",
    "owner:user-{n}",
    "owner:nobody",
    "session:session-0",
    "session:session-{n}",
    "tag:eval",
    "tag:nightly",
    "status:200",
    "status:529",
    "status:>=500",
    "status:>=600",
    "outcome:completed",
    "outcome:timed_out",
    "outcome:running",
    "has:error",
    "has:tool",
    "stream:true",
    "error:overloaded",
    "error:nothing-like-it",
    "method:get",
    "path:embeddings",
    "path:moderations",
    "path:nowhere",
    "tokens:>1000",
    "tokens:>120000",
    "tokens:>1000000",
    "cost:>0.05",
    "cost:>0.08",
    "cost:>100",
    "duration:>10s",
    "duration:>95s",
    "duration:>1h",
    "after:1h",
    "after:7d",
    "-model:gpt-4o-mini",
];

/// Queries of several.
const COMBINED: &[&str] = &[
    "model:gpt-4o-mini after:24h",
    "model:gpt-4o-mini status:>=500",
    "model:o3 owner:user-{n}",
    "app:app-3 has:error after:7d",
    "model:claude-* duration:>60s cost:>0.01",
    "provider:openai stream:true has:tool",
    "key:vk_{n} duration:>50s",
    "owner:user-0 tokens:>100000 cost:>0.05",
    "session:session-{n} -has:error",
    "tag:eval has:error",
    "path:messages has:tool duration:>90s",
    "after:30d before:20d has:error",
    "after:1h duration:>90s",
    "provider:anthropic model:gpt-4o-mini",
];

/// Fills an archive and asks for lists of it.
pub(crate) async fn lists(bench: &Bench, report: &mut Report) -> Result<()> {
    let engines = Engines::start(&bench.binaries, free_address()?).await?;
    let now = SystemClock.now();
    let took = fill(&engines, now, bench.listed).await?;
    report.figure(
        &format!("{} exchanges of {DAYS} days committed, one in ten with its bodies", bench.listed),
        format!("{:.0}/s", f64::from(bench.listed) / took.as_secs_f64()),
    );
    let (web, address) = engines.role(&bench.binaries, "web").await?;
    // It answers probes alone until it has its engines.
    let began = Instant::now();
    while get_json(address, "/api/v1/exchanges?limit=1").await.is_err() {
        ensure!(began.elapsed() < Duration::from_secs(60), "the dashboard does not get its engines");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let pages = pages(address, now).await?;
    let query = |query: &&str| format!("{LIST}&q={}", encoded(query));
    let shown = |query: &&str| format!("/exchanges?q={}", encoded(query));
    let overview = ["/?hours=24", "/?hours=168", "/?hours=720", "/exchanges"];
    for (what, paths) in [
        ("list page, next pages and one by its id", pages),
        ("filters", FILTERS.iter().map(query).collect()),
        ("filters combined", COMBINED.iter().map(query).collect()),
        ("the dashboard's list with a filter", FILTERS.iter().map(shown).collect()),
        ("overview of a day, a week, a month, and the list", overview.map(str::to_owned).to_vec()),
    ] {
        group(bench, report, address, what, &paths).await?;
    }
    // What reads bodies has its own bounds.
    let times = look(address, &format!("{LIST}&q={}", encoded("in:all nothing-like-it after:24h"))).await?;
    report.figure("words looked for in the bodies of a day, p95", format!("{:.0} ms", p95(&times)));
    web.stop()
}

/// Commits what a month brings; gives how long that took.
async fn fill(engines: &Engines, now: Timestamp, records: u32) -> Result<Duration> {
    let config = PostgresConfig::new(engines.database_url());
    let archive = Arc::new(PostgresArchive::connect(&config, Arc::new(SystemClock)).await?);
    let next = Arc::new(AtomicU32::new(0));
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    let began = Instant::now();
    for _ in 0..COMMITTERS {
        let (archive, next) = (Arc::clone(&archive), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let from = next.fetch_add(BATCH, Ordering::Relaxed);
                if from >= records {
                    return Ok(());
                }
                let numbers = from..records.min(from + BATCH);
                let made =
                    tokio::task::spawn_blocking(move || history::commits(now, records, numbers)).await?;
                archive.commit(made).await?;
            }
        });
    }
    while let Some(joined) = tasks.join_next().await {
        joined??;
    }
    let took = began.elapsed();
    archive.maintain().await?;
    archive.close().await;
    // What autovacuum has done by the time a month is over.
    engines.sql("VACUUM ANALYZE");
    Ok(took)
}

/// The newest page, the second, one from the middle, and the page of one exchange.
async fn pages(address: SocketAddr, now: Timestamp) -> Result<Vec<String>> {
    let first = get_json(address, LIST).await?;
    let next = first["next_cursor"].as_str().context("a next page")?;
    let one = first["items"][7]["id"].as_str().context("an exchange's id")?;
    let middle = ExchangeId::lowest_at(now.minus(Duration::from_secs(DAYS * 43_200)));
    Ok(vec![
        LIST.to_owned(),
        format!("{LIST}&cursor={next}"),
        format!("{LIST}&cursor={middle}"),
        format!("/api/v1/exchanges/{one}"),
        format!("/exchanges/{one}"),
    ])
}

/// The slowest of some addresses counts.
async fn group(
    bench: &Bench,
    report: &mut Report,
    address: SocketAddr,
    what: &str,
    paths: &[String],
) -> Result<()> {
    let mut all = histogram()?;
    let mut slowest = (0.0, String::new());
    for path in paths {
        let times = look(address, path).await.with_context(|| path.clone())?;
        report.say(&format!("  {path}: p50 {:.1} ms, p95 {:.1} ms", p50(&times), p95(&times)));
        all.add(&times)?;
        if p95(&times) > slowest.0 {
            slowest = (p95(&times), path.clone());
        }
    }
    report.budget(
        &format!("{what} over {} exchanges on PostgreSQL, p95", bench.listed),
        format!(
            "{:.1} ms, p50 {:.1} ms; the slowest of {} `{}`: {:.1} ms",
            p95(&all),
            p50(&all),
            paths.len(),
            slowest.1.replace('|', "\\|"),
            slowest.0
        ),
        "<= 100 ms",
        slowest.0 <= 100.0,
    );
    Ok(())
}

/// Asks for an address again and again; `{n}` in it is another number each time.
async fn look(address: SocketAddr, path: &str) -> Result<Histogram<u64>> {
    let mut connection = Connection::open(address).await?;
    let mut times = histogram()?;
    for n in 0..LOOKS {
        let request = get(&path.replace("%7Bn%7D", &(3 + n * 4).to_string()));
        let began = Instant::now();
        let answer = connection.call(&request).await?;
        times.saturating_record(u64::try_from(began.elapsed().as_micros())?);
        ensure!(answer.status == 200, "status {}", answer.status);
    }
    Ok(times)
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(60_000_000, 3)?)
}

fn p50(times: &Histogram<u64>) -> f64 {
    times.value_at_quantile(0.5) as f64 / 1_000.0
}

fn p95(times: &Histogram<u64>) -> f64 {
    times.value_at_quantile(0.95) as f64 / 1_000.0
}

/// A query as it stands in an address.
fn encoded(query: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    query.bytes().map(one).collect()
}
