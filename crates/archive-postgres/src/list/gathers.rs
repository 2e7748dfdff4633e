//! What is gathered is what would be walked to; and where conditions are rare only together, few records are read for it.

use std::sync::Arc;
use std::time::Duration;

use verbatim_core::model::{Exchange, ExchangeId, Timestamp};
use verbatim_core::ports::{Archive as _, Clock as _, Commit, SystemClock};
use verbatim_testkit::postgres::PostgresServer;
use verbatim_testkit::{ExchangeBuilder, history};

use super::plans::{explain, filters};
use super::*;
use crate::day;
use crate::{PostgresArchive, PostgresConfig, migrate};

/// An archive on a new database; with the database's name.
async fn archive() -> (PostgresArchive, String) {
    let server = PostgresServer::shared();
    let name = server.create_database();
    let config = PostgresConfig::new(server.url(&name));
    migrate(&config).await.unwrap();
    (PostgresArchive::connect(&config, Arc::new(SystemClock)).await.unwrap(), name)
}

/// Commits some of what a month of `records` calls brings; gives all of it, newest first.
async fn fill(
    archive: &PostgresArchive,
    now: Timestamp,
    records: u32,
    numbers: std::ops::Range<u32>,
) -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    for from in numbers.clone().step_by(1_000) {
        let commits = history::commits(now, records, from..numbers.end.min(from + 1_000));
        exchanges.extend(commits.iter().map(|commit| commit.record.exchange.clone()));
        archive.commit(commits).await.unwrap();
    }
    exchanges.reverse();
    exchanges
}

/// Queries and what they mean: rare together, contradictory, frequent, and of one condition.
#[expect(clippy::type_complexity, reason = "a table of what is asked and what is meant")]
const ASKED: &[(&str, fn(&Exchange) -> bool)] = &[
    ("model:claude-* duration:>60s", |e| asks(e, "claude-") && e.duration_us > Some(60_000_000)),
    ("provider:anthropic model:gpt-4o-mini", |_| false),
    ("owner:user-0 tokens:>50000", |e| {
        e.caller.owner.as_deref() == Some("user-0") && e.usage.total_tokens > Some(50_000)
    }),
    ("path:messages has:tool duration:>30s", |e| {
        e.path == "/v1/messages" && !e.tools_called.is_empty() && e.duration_us > Some(30_000_000)
    }),
    ("app:app-3 has:error", |e| {
        e.caller.app.as_deref() == Some("app-3") && (e.error.is_some() || e.status >= Some(400))
    }),
    ("provider:openai stream:true", |e| e.provider == "openai" && e.streamed),
    ("tag:eval -provider:openai", |e| e.tags.iter().any(|tag| tag == "eval") && e.provider != "openai"),
    ("duration:>90s", |e| e.duration_us > Some(90_000_000)),
];

/// Whether a model that was asked for, or that answered, begins so.
fn asks(exchange: &Exchange, begin: &str) -> bool {
    let models = [&exchange.model_asked, &exchange.model_served];
    models.into_iter().flatten().any(|model| model.starts_with(begin))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_and_counts_are_whole_however_rare_what_they_ask_for_is() {
    let (archive, _) = archive().await;
    let now = SystemClock.now();
    let exchanges = fill(&archive, now, 6_000, 0..6_000).await;
    for (query, matches) in ASKED {
        let wanted: Vec<ExchangeId> = exchanges.iter().filter(|e| matches(e)).map(|e| e.id).collect();
        let filters = filters(query);
        let page = async |before, skip, limit| {
            let request = ListRequest { filters: filters.clone(), before, skip, limit, after: None };
            let page = archive.list(request).await.unwrap();
            (page.exchanges.iter().map(|exchange| exchange.id).collect::<Vec<_>>(), page.more)
        };
        // Page by page, from each to the next.
        let (mut listed, mut more) = (Vec::new(), true);
        while more {
            let (ids, more_yet) = page(listed.last().copied(), 0, 30).await;
            listed.extend(ids);
            more = more_yet;
        }
        assert_eq!(listed, wanted, "{query}");
        for (skip, limit) in [(0, 10_000), (7, 20), (60, 20), (10_000, 20), (u64::MAX, 20)] {
            let from = usize::try_from(skip).unwrap_or(usize::MAX).min(wanted.len());
            let to = wanted.len().min(from + limit);
            assert_eq!(
                page(None, skip, limit).await,
                (wanted[from..to].to_vec(), to < wanted.len()),
                "{query}"
            );
        }
        for limit in [1, 40, 10_000] {
            let count = archive.count(&filters, limit).await.unwrap();
            assert_eq!(count, limit.min(wanted.len() as u64), "{query}");
        }
    }
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_gathered_between_ids_is_what_is_walked_to() {
    let (archive, _) = archive().await;
    let exchanges = fill(&archive, SystemClock.now(), 6_000, 0..6_000).await;
    let mut client = archive.engine.database.reads.get().await.unwrap();
    for (query, matches) in ASKED {
        let filters = filters(query);
        let wanted: Vec<Uuid> = exchanges.iter().filter(|e| matches(e)).map(|e| day::uuid(e.id)).collect();
        // Between two that match, which are in the middle of a day; they themselves are not wanted.
        let between = wanted.len() / 5..wanted.len() * 4 / 5;
        let id = |at: usize| wanted.get(at).map(|id| ExchangeId::try_from(&id.as_bytes()[..]).unwrap());
        let mut windows =
            Windows::read(&client, &Bounds { below: id(between.start), above: id(between.end) })
                .await
                .unwrap();
        let (mut gathered, mut walked) = (Vec::new(), Vec::new());
        while let Some(window) = windows.next() {
            let Some(sources) = Sources::find(&client, &filters, &window).await.unwrap() else { continue };
            let rows = run(&client, &sources.walked(&window, Order::NewestFirst, 0, 10_000)).await.unwrap();
            walked.extend(newest(&rows, 0, 10_000));
            let rows = gather(&mut client, &sources.gathered(&window, 10_000)).await.unwrap();
            gathered.extend(newest(&rows, 0, 10_000));
        }
        let wanted = wanted.get(between.start + 1..between.end).unwrap_or_default();
        assert_eq!(walked, wanted, "{query}");
        assert_eq!(gathered, wanted, "{query}");
    }
    drop(client);
    archive.close().await;
}

/// By all that was looked through before, next to nothing matches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_the_newest_of_many_that_come_after_days_without_any() {
    let (archive, _) = archive().await;
    let now = SystemClock.now();
    let hour = Duration::from_secs(3_600);
    // In a window of eight days, more than are gathered.
    let ids = (0..3_000).map(|n| ExchangeId::lowest_at(now.minus(hour * 24 * 8 + hour / 20 * n)));
    let bygone = |id| ExchangeBuilder::new(id).with(|exchange| exchange.provider = "bygone".to_owned());
    let commits: Vec<Commit> = ids.map(|id| Commit { record: bygone(id).build() }).collect();
    let newest: Vec<ExchangeId> = commits[..50].iter().map(|commit| commit.record.exchange.id).collect();
    archive.commit(commits).await.unwrap();
    fill(&archive, now, 3_000, 0..3_000).await;
    let request =
        ListRequest { filters: filters("provider:bygone tokens:>0"), limit: 50, ..ListRequest::default() };
    let page = archive.list(request.clone()).await.unwrap();
    assert_eq!(page.exchanges.iter().map(|exchange| exchange.id).collect::<Vec<_>>(), newest);
    assert!(page.more);
    assert_eq!(archive.count(&request.filters, 10_000).await.unwrap(), 3_000);
    archive.close().await;
}

/// How many records a plan, once executed, had read for nothing.
fn passed_over(plan: &str) -> u64 {
    let removed = plan.lines().filter_map(|line| line.trim().strip_prefix("Rows Removed by "));
    removed.filter_map(|line| line.split_once(": ")?.1.parse::<u64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_records_are_read_where_conditions_are_rare_only_together() {
    let (archive, name) = archive().await;
    let now = SystemClock.now();
    // A day and a bit of a month of 300,000.
    let exchanges = fill(&archive, now, 300_000, 286_000..300_000).await;
    PostgresServer::shared().sql(&name, "VACUUM ANALYZE");
    let mut client = archive.engine.database.reads.get().await.unwrap();
    for (query, matches) in &ASKED[..3] {
        let filters = filters(query);
        let found = exchanges.iter().filter(|e| matches(e)).count();
        let mut windows = Windows::read(&client, &Bounds::default()).await.unwrap();
        let (mut walked, mut gathered) = (0, 0);
        while let Some(window) = windows.next() {
            let Some(sources) = Sources::find(&client, &filters, &window).await.unwrap() else { continue };
            let sql = sources.walked(&window, Order::NewestFirst, 0, 1_000);
            walked += passed_over(&explain(&client, "ANALYZE", &sql).await);
            let transaction = gathering(&mut client).await.unwrap();
            let sql = sources.gathered(&window, 1_000);
            let plan = explain(transaction.client(), "ANALYZE", &sql).await;
            gathered += passed_over(&plan);
        }
        assert!(walked > 1_000, "`{query}` is rare: {found} found, {walked} passed over");
        assert!(gathered < walked / 5, "`{query}`: {found} found, {gathered} of {walked} passed over");
    }
    drop(client);
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_gathered_walks_again() {
    let (archive, _) = archive().await;
    let mut client = archive.engine.database.reads.get().await.unwrap();
    let several = async |client: &Client| {
        let row = client.query_one("SHOW enable_bitmapscan", &[]).await.unwrap();
        row.get::<_, String>(0)
    };
    assert_eq!(several(&client).await, "off");
    let one = Sql { text: "SELECT 1".to_owned(), values: Vec::new() };
    assert_eq!(gather(&mut client, &one).await.unwrap().len(), 1);
    assert_eq!(several(&client).await, "off");
    // One that is given up, or fails, leaves nothing behind either.
    let transaction = gathering(&mut client).await.unwrap();
    assert_eq!(several(transaction.client()).await, "on");
    drop(transaction);
    assert_eq!(several(&client).await, "off");
    let wrong = Sql { text: "SELECT 1 / 0".to_owned(), values: Vec::new() };
    assert!(gather(&mut client, &wrong).await.is_err());
    assert_eq!(several(&client).await, "off");
    drop(client);
    archive.close().await;
}
