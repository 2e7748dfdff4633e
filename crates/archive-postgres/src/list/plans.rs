//! Each list's plan walks the index that finds least, newest first, and touches no partition outside of its days.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use verbatim_core::model::ExchangeId;
use verbatim_core::model::query::parse;
use verbatim_core::ports::{Archive as _, Clock, Commit, SystemClock};
use verbatim_testkit::history::DAYS;
use verbatim_testkit::postgres::PostgresServer;
use verbatim_testkit::{ExchangeBuilder, measure};

use jiff::civil::Date;

use super::*;
use crate::day;
use crate::{PostgresArchive, PostgresConfig, migrate};

/// How far back records go.
const FILLED: Duration = Duration::from_secs(DAYS * 86_400);
/// A path that few calls take.
const RARE: &str = "/v1/batches";

/// Some thousand records over thirty days, and what PostgreSQL knows of them; with the name of their database.
async fn filled() -> (PostgresArchive, String) {
    let server = PostgresServer::shared();
    let name = server.create_database();
    let config = PostgresConfig::new(server.url(&name));
    migrate(&config).await.unwrap();
    let archive = PostgresArchive::connect(&config, Arc::new(SystemClock)).await.unwrap();
    let now = SystemClock.now();
    measure::fill(&archive, now, 6_000).await.unwrap();
    // On each day one that is rare.
    let rare = (0..u32::try_from(DAYS).unwrap()).map(|age| {
        let id = ExchangeId::lowest_at(now.minus(Duration::from_secs(86_400) * age));
        Commit { record: ExchangeBuilder::new(id).with(|exchange| exchange.path = RARE.to_owned()).build() }
    });
    archive.commit(rare.collect()).await.unwrap();
    server.sql(&name, "ANALYZE");
    (archive, name)
}

pub(super) fn filters(query: &str) -> Vec<Filter> {
    parse(query, SystemClock.now()).unwrap().filters
}

/// A condition on a text, as a plan has it that finds it by its index.
macro_rules! text {
    ($column:literal) => {
        concat!("Index Cond: ((lower(\"left\"(", $column, ", 256))")
    };
}

/// Queries of which each is found by one index, by what the plan then says; and the index's name.
const FOUND: &[(&str, &str, &str)] = &[
    ("session:session-7", text!("session"), "exchange_session"),
    ("model:gpt-4o", text!("model_asked"), "exchange_model_asked"),
    ("model:gpt-4o", text!("model_served"), "exchange_model_served"),
    ("model:claude-*", text!("model_asked"), "exchange_model_asked"),
    ("app:app-3", text!("app"), "exchange_app"),
    ("project:project-3", text!("project"), "exchange_project"),
    ("key:vk_1", text!("key"), "exchange_key"),
    ("owner:user-1", text!("owner"), "exchange_owner"),
    ("provider:local", text!("provider"), "exchange_provider"),
    ("provider:loc*", text!("provider"), "exchange_provider"),
    ("path:batches", text!("path"), "exchange_path"),
    ("method:get", text!("method"), "exchange_method"),
    ("dialect:ollama", "Index Cond: ((dialect = ", "exchange_dialect"),
    ("status:204", "Index Cond: ((status >= ", "exchange_status"),
    ("duration:>1h", "Index Cond: ((duration_us >= ", "exchange_duration"),
    ("tokens:>1000000", "Index Cond: ((total_tokens >= ", "exchange_tokens"),
    ("cost:>100", "Index Cond: ((cost_micros >= ", "exchange_cost"),
    ("has:error", "_id_outcome_status_idx", "exchange_troubled"),
    ("outcome:timed_out", "_id_outcome_status_idx", "exchange_troubled"),
    ("error:overloaded", "_id_outcome_status_idx", "exchange_troubled"),
    ("tag:nightly", "_id_idx", "exchange_tags"),
];

/// Queries that the order of ids answers best, for what they ask for is frequent, or of a time; and those that several
/// indexes answer together.
const WALKED: &[&str] = &[
    "",
    "status:200",
    "status:>=500",
    "outcome:completed",
    "has:tool",
    "stream:true",
    "method:post",
    "duration:>1s",
    "-model:o3",
    "after:1h",
    "after:1h duration:>95s",
    "model:gpt-4o status:>=500",
    "app:app-7 error:overloaded",
    "app:app-1 duration:>1s",
    "provider:anthropic model:gpt-4o-mini",
    "model:claude-* duration:>60s cost:>0.01",
    "owner:user-0 tokens:>100000 cost:>0.05",
    "path:messages has:tool duration:>90s",
];

/// What is wrong with the plan for a window, if anything is.
fn fault(plan: &str, of_window: &BTreeSet<String>, walks: bool, marks: &[&str]) -> Option<&'static str> {
    let touched = partitions(plan);
    if plan.contains("Seq Scan") || !plan.contains("Index") {
        Some("it does not go by an index")
    } else if walks && plan.contains("Bitmap") {
        Some("it does not walk an index")
    } else if touched.is_empty() || !touched.is_subset(of_window) {
        Some("it touches other days")
    } else if !marks.iter().all(|mark| plan.contains(mark)) {
        Some("it goes by another index")
    } else {
        None
    }
}

/// Explains what lists and counts a query, window by window and in each of the ways; says what is wrong with it, and how
/// many days were looked through. Days of which only a part was filled are left out: of a page or less, any index is as
/// good.
async fn explained(client: &mut Object, query: &str, marks: &[&str]) -> Result<usize, String> {
    let filters = filters(query);
    let bounds = Bounds::of(&filters, None, None);
    let mut windows = Windows::read(client, &bounds).await.unwrap();
    let today = day::date(SystemClock.now());
    let oldest = day::date(SystemClock.now().minus(FILLED));
    windows.days.retain(|&day| oldest < day && day < today);
    let mut seen = 0;
    loop {
        let before = windows.days.clone();
        let Some(window) = windows.next() else { return Ok(seen) };
        let of_window = tables(&before[windows.days.len()..]);
        seen += of_window.len();
        let Some(sources) = Sources::find(client, &filters, &window).await.unwrap() else { continue };
        let page = sources.walked(&window, Order::NewestFirst, 0, 51);
        let count = counted(sources.walked(&window, Order::Any, 0, 10_000));
        let mut plans = Vec::new();
        for walked in [page, count] {
            plans.push((true, explain(client, "", &walked).await));
        }
        if meet(&filters) {
            let transaction = gathering(client).await.unwrap();
            for gathered in [sources.gathered(&window, 1_051), counted(sources.gathered(&window, 10_000))] {
                plans.push((false, explain(transaction.client(), "", &gathered).await));
            }
        }
        for (walks, plan) in plans {
            if let Some(fault) = fault(&plan, &of_window, walks, marks) {
                return Err(format!("`{query}`: {fault}, expected {marks:?} in {of_window:?}:\n{plan}"));
            }
        }
    }
}

/// How the server would execute this; or, with `ANALYZE`, how it did.
pub(super) async fn explain(client: &Client, how: &str, sql: &Sql) -> String {
    let sql = Sql { text: format!("EXPLAIN {how} {}", sql.text), values: sql.values.clone() };
    let rows = run(client, &sql).await.unwrap();
    rows.iter().map(|row| row.get::<_, &str>(0)).collect::<Vec<_>>().join("\n")
}

/// The partitions that a plan touches.
fn partitions(plan: &str) -> BTreeSet<String> {
    let words = plan.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| day::of_table(word).is_some()).map(str::to_owned).collect()
}

fn tables(days: &[Date]) -> BTreeSet<String> {
    days.iter().map(|&day| day::table(day)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_list_and_count_walks_an_index_and_prunes_partitions() {
    let (archive, _) = filled().await;
    let mut client = archive.engine.database.reads.get().await.unwrap();
    let found = FOUND.iter().map(|(query, mark, _)| (*query, Some(*mark)));
    for (query, mark) in found.chain(WALKED.iter().map(|query| (*query, None))) {
        let seen = explained(&mut client, query, mark.as_slice()).await.unwrap_or_else(|why| panic!("{why}"));
        match query.starts_with("after:") {
            true => assert!((1..=4).contains(&seen), "`{query}` looked through {seen} days"),
            false => assert!(seen >= 28, "`{query}` looked through {seen} days"),
        }
    }
    drop(client);
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_list_goes_unnoticed_whose_index_is_gone() {
    let (archive, name) = filled().await;
    let mut client = archive.engine.database.reads.get().await.unwrap();
    let server = PostgresServer::shared();
    let sql =
        "SELECT indexname FROM pg_indexes WHERE tablename = 'exchange' AND indexname <> 'exchange_pkey'";
    let there = server.sql(&name, sql);
    let named: BTreeSet<&str> = FOUND.iter().map(|(_, _, index)| *index).collect();
    assert_eq!(there.lines().collect::<BTreeSet<_>>(), named, "each index has a query that needs it");
    for (query, mark, index) in FOUND {
        let there = server.sql(&name, &format!("SELECT pg_get_indexdef('{index}'::regclass)"));
        server.sql(&name, &format!("DROP INDEX {index}"));
        let explained = explained(&mut client, query, &[mark]).await;
        assert!(explained.is_err_and(|why| why.contains("another index")), "`{query}` without {index}");
        // As it was, on every partition.
        server.sql(&name, &there.replace(" ON ONLY ", " ON "));
    }
    drop(client);
    archive.close().await;
}

/// What is found by the values of a column, and what is found by walking, is the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patterns_find_the_same_whether_values_are_few_or_many_or_long() {
    let server = PostgresServer::shared();
    let name = server.create_database();
    let config = PostgresConfig::new(server.url(&name));
    migrate(&config).await.unwrap();
    let archive = PostgresArchive::connect(&config, Arc::new(SystemClock)).await.unwrap();
    let client = archive.engine.database.reads.get().await.unwrap();
    let now = SystemClock.now();
    let mut paths: Vec<String> =
        ["/v1/files", "/v1/FILES/a_b", "/v1/files/a%b", "/v2/chat"].map(str::to_owned).to_vec();
    // First few values, then one that is too long to be known, then too many.
    let rounds: [Vec<String>; 3] = [
        Vec::new(),
        vec![format!("/v1/{}/files", "x".repeat(crate::filter::INDEXED))],
        (0..150).map(|n| format!("/v1/threads/{n:03}/files")).collect(),
    ];
    let (mut stored, mut by_value) = (0, Vec::new());
    for round in rounds {
        paths.extend(round);
        let new = paths[stored..].iter().map(|path| {
            let builder = ExchangeBuilder::minted();
            Commit { record: builder.with(|e| e.path = path.clone()).build() }
        });
        archive.commit(new.collect()).await.unwrap();
        stored = paths.len();
        for (query, word) in [
            ("path:files", "files"),
            ("path:/v1/*files", "files"),
            ("path:a_b", "a_b"),
            ("path:\"a%b\"", "a%b"),
            ("path:Threads", "threads"),
            ("path:nowhere", "nowhere"),
        ] {
            let wanted = paths.iter().filter(|path| {
                let path = path.to_lowercase();
                path.contains(word) && (!query.ends_with("*files") || path.ends_with(word))
            });
            let request = ListRequest { filters: filters(query), limit: 1_000, ..ListRequest::default() };
            let page = list(archive.engine.database.reads.get().await.unwrap(), &request).await.unwrap();
            let mut listed: Vec<&String> = page.exchanges.iter().map(|exchange| &exchange.path).collect();
            let mut wanted: Vec<&String> = wanted.collect();
            listed.sort();
            wanted.sort();
            assert_eq!(listed, wanted, "{query}");
        }
        let mut windows = Windows::read(&client, &Bounds::default()).await.unwrap();
        // The newest days are empty: they are made ahead.
        windows.days.retain(|&day| day <= day::date(now));
        let window = windows.next().unwrap();
        by_value.push(values::drivers(&client, &filters("path:files"), &window).await.unwrap().is_some());
    }
    assert_eq!(by_value, [true, false, false]);
    drop(client);
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_by_id_open_only_their_own_partitions() {
    let (archive, _) = filled().await;
    let client = archive.engine.database.reads.get().await.unwrap();
    let windows = Windows::read(&client, &Bounds::default()).await.unwrap();
    let days: Vec<Date> = windows.days.iter().copied().take(2).collect();
    let ids: Vec<Uuid> = days.iter().map(|&day| day::uuid(day::last_of(day))).collect();
    for sql in
        ["SELECT * FROM exchange WHERE id = ANY($1)", "SELECT id, rank FROM exchange WHERE id = ANY($1)"]
    {
        let statement = client.prepare(&format!("EXPLAIN {sql}")).await.unwrap();
        let rows = client.query(&statement, &[&ids]).await.unwrap();
        let plan = rows.iter().map(|row| row.get::<_, &str>(0)).collect::<Vec<_>>().join("\n");
        assert_eq!(partitions(&plan), tables(&days), "{plan}");
        assert!(plan.contains("Index") && !plan.contains("Seq Scan"), "{plan}");
    }
    drop(client);
    archive.close().await;
}
