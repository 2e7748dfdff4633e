//! Each list's plan walks an index from the newest, and touches no partition outside of its days.

use std::collections::BTreeSet;
use std::sync::Arc;

use verbatim_core::model::query::{Condition, Field, Pattern};
use verbatim_core::ports::{Clock, SystemClock};
use verbatim_testkit::measure;
use verbatim_testkit::postgres::PostgresServer;

use super::*;
use crate::{PostgresArchive, PostgresConfig, migrate};

/// Some thousand records over thirty days, and what PostgreSQL knows of them.
async fn filled() -> (PostgresArchive, Vec<(&'static str, Vec<Filter>)>) {
    let server = PostgresServer::shared();
    let name = server.create_database();
    let config = PostgresConfig::new(server.url(&name));
    migrate(&config).await.unwrap();
    let archive = PostgresArchive::connect(&config, Arc::new(SystemClock)).await.unwrap();
    let now = SystemClock.now();
    measure::fill(&archive, now, 6_000).await.unwrap();
    server.sql(&name, "ANALYZE");
    let mut questions = measure::questions(now);
    let text = |field, text: &str| {
        let runs = text.split('*').map(str::to_owned).collect();
        vec![Filter { field, condition: Condition::Matches(vec![Pattern { runs }]), excluded: false }]
    };
    questions.push(("one project", text(Field::Project, "p")));
    questions.push(("one key", text(Field::Key, "vk_1")));
    questions.push(("one owner", text(Field::Owner, "ann")));
    questions.push(("a method", text(Field::Method, "post")));
    questions.push(("not a model", vec![Filter { excluded: true, ..text(Field::Model, "o3").remove(0) }]));
    (archive, questions)
}

async fn explain(client: &Object, sql: &Sql) -> String {
    let sql = Sql { text: format!("EXPLAIN {}", sql.text), values: sql.values.clone() };
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
    let (archive, questions) = filled().await;
    let client = archive.engine.database.reads.get().await.unwrap();
    for (name, filters) in questions {
        let bounds = Bounds::of(&filters, None, None);
        let mut windows = Windows::read(&client, &bounds).await.unwrap();
        let mut seen = 0;
        loop {
            let before = windows.days.clone();
            let Some(window) = windows.next() else { break };
            let of_window = tables(&before[windows.days.len()..]);
            let plan = explain(&client, &select(&filters, &window, 0, 51)).await;
            assert!(plan.contains("Index"), "{name}:\n{plan}");
            assert!(!plan.contains("Seq Scan") && !plan.contains("Bitmap"), "{name}:\n{plan}");
            let touched = partitions(&plan);
            assert!(!touched.is_empty() && touched.is_subset(&of_window), "{name}: {of_window:?}\n{plan}");
            // Of two conditions the statistics say which is rarer.
            let driver = match drivers(&filters).1.first().filter(|_| filters.len() == 1) {
                Some(Driver::Equal { column, .. }) => {
                    Some(format!("Index Cond: ((lower(\"left\"({column}, 256))"))
                }
                Some(Driver::Troubled(_)) => Some("_id_outcome_status_idx".to_owned()),
                _ => None,
            };
            assert!(driver.is_none_or(|driver| plan.contains(&driver)), "{name}:\n{plan}");
            seen += of_window.len();
        }
        assert!(seen >= 30 || bounds.above.is_some(), "{name} looked through {seen} days");
        assert!(seen <= 8 || bounds.above.is_none(), "{name} looked through {seen} days");
    }
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
