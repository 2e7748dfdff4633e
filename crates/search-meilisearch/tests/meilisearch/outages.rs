//! What becomes of documents when a real server is killed, wiped, or changed by somebody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::JoinSet;
use verbatim_core::model::query::parse;
use verbatim_core::model::{ExchangeId, SearchDocument, Timestamp};
use verbatim_core::ports::{SearchIndex, SearchRequest, WriteOutcome};
use verbatim_search_meilisearch::MeilisearchIndex;
use verbatim_testkit::ExchangeBuilder;

use crate::real::{OwnServer, Real};

/// What a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(120);

fn document() -> SearchDocument {
    ExchangeBuilder::minted().document("a word", "weather")
}

async fn ids(index: &MeilisearchIndex, text: &str) -> Vec<ExchangeId> {
    let query = parse(text, Timestamp::default()).expect("a query");
    let request = SearchRequest { query, before: None, skip: 0, limit: 100_000 };
    index.search(request).await.expect("it searches").hits.into_iter().map(|hit| hit.id).collect()
}

async fn write(index: &MeilisearchIndex, documents: &[SearchDocument]) {
    write_counting(index, documents, &AtomicUsize::new(0)).await;
}

/// Writes as the indexer does: again and again, until it is done. Each try that failed is counted at once.
async fn write_counting(index: &MeilisearchIndex, documents: &[SearchDocument], failed: &AtomicUsize) {
    let trying = async {
        loop {
            match index.write(documents.to_vec()).await {
                Ok(outcomes) => {
                    assert!(outcomes.iter().all(|outcome| matches!(outcome, WriteOutcome::Indexed)));
                    return;
                }
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
            failed.fetch_add(1, Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.expect("it comes back");
}

async fn until_it_grew(count: &AtomicUsize, from: usize) {
    let growing = async {
        while count.load(Relaxed) <= from {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, growing).await.expect("it grows");
}

/// Whatever was written is there once `write` returned, however often the server is killed meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_written_is_lost_when_the_server_is_killed() {
    const WRITERS: usize = 2;
    const EACH: usize = 8;
    let Some(mut server) = OwnServer::start() else { return };
    let index = Arc::new(MeilisearchIndex::new(server.config()).unwrap());
    let (finished, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (index, finished, failed) = (Arc::clone(&index), Arc::clone(&finished), Arc::clone(&failed));
        writers.spawn(async move {
            let mut written = Vec::new();
            for _ in 0..EACH {
                let documents = [document(), document()];
                write_counting(&index, &documents, &failed).await;
                finished.fetch_add(1, Relaxed);
                written.extend(documents.map(|document| document.id()));
            }
            written
        });
    }
    let mut finished_before = 0;
    for _ in 0..4 {
        until_it_grew(&finished, finished_before).await;
        server.kill();
        assert!(finished.load(Relaxed) < WRITERS * EACH, "nobody writes any more");
        // A write that was under way, or the next one, finds nobody.
        until_it_grew(&failed, failed.load(Relaxed)).await;
        finished_before = finished.load(Relaxed);
        server.restart();
    }
    let mut written: Vec<ExchangeId> = writers.join_all().await.into_iter().flatten().collect();
    written.sort_unstable_by(|one, other| other.cmp(one));
    server.kill();
    server.restart();
    tokio::time::timeout(PATIENCE, async { while index.health().await.is_err() {} }).await.unwrap();
    assert_eq!(written.len(), WRITERS * EACH * 2);
    assert_eq!(ids(&index, "word").await, written);
}

/// And says that it has to be rebuilt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_everything_gets_its_index_again() {
    let Some(mut server) = OwnServer::start() else { return };
    let index = MeilisearchIndex::new(server.config()).unwrap();
    write(&index, &[document(), document()]).await;
    index.begin_rebuild().await.unwrap();
    index.finish_rebuild().await.unwrap();
    assert!(!index.needs_rebuild().await.unwrap());
    server.kill();
    server.wipe();
    server.restart();
    let after = [document(), document()];
    write(&index, &after).await;
    assert_eq!(ids(&index, "weather status:200").await, [after[1].id(), after[0].id()]);
    assert!(index.needs_rebuild().await.unwrap());
}

/// Even while it is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_somebody_deletes_is_made_again() {
    if !Real::is_given() {
        return;
    }
    let real = Real::index();
    let index = real.open().await;
    write(&index, &[document()]).await;
    real.call("DELETE", "/indexes/{index}", "");
    tokio::time::timeout(PATIENCE, async { while !ids(&index, "").await.is_empty() {} }).await.unwrap();
    let after = document();
    write(&index, std::slice::from_ref(&after)).await;
    assert_eq!(ids(&index, "word path:chat").await, [after.id()]);
}

/// A settings task more would show in the server's list of tasks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_changed_once_and_brought_back_into_line() {
    if !Real::is_given() {
        return;
    }
    let real = Real::index();
    let changes = || {
        let tasks = real.call("GET", "/tasks?types=settingsUpdate&indexUids={index}", "");
        tasks.matches("\"type\":\"settingsUpdate\"").count()
    };
    for _ in 0..2 {
        let index = real.open().await;
        write(&index, &[document()]).await;
    }
    assert_eq!(changes(), 1);
    real.call(
        "PATCH",
        "/indexes/{index}/settings",
        r#"{"sortableAttributes":[],"typoTolerance":{"enabled":true}}"#,
    );
    let changed = async {
        while !real.call("GET", "/indexes/{index}/settings", "").contains("\"sortableAttributes\":[]") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, changed).await.unwrap();
    let index = real.open().await;
    assert_eq!(ids(&index, "wether").await, [], "a typo finds nothing");
    assert_eq!(ids(&index, "weather").await.len(), 2);
    assert_eq!(changes(), 3, "somebody's and ours");
    real.open().await;
    assert_eq!(changes(), 3);
}

/// Processes that know nothing of each other: what one writes while another rebuilds is in both indexes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_write_while_one_rebuilds() {
    if !Real::is_given() {
        return;
    }
    let real = Real::index();
    let (one, other) = (real.open().await, real.open().await);
    let old = document();
    write(&one, std::slice::from_ref(&old)).await;
    one.begin_rebuild().await.unwrap();
    let during = [document(), document()];
    let finishing = async {
        write(&one, &during[..1]).await;
        one.finish_rebuild().await.unwrap();
    };
    tokio::join!(finishing, write(&other, &during[1..]));
    let after = document();
    write(&other, std::slice::from_ref(&after)).await;
    let found = ids(&other, "word").await;
    assert_eq!(found, [after.id(), during[1].id(), during[0].id()], "without {}", old.id());
    let indexes = real.call("GET", "/indexes?limit=1000", "");
    assert!(!indexes.contains(&format!("{}-next", real.config().index())), "nothing is left of it");
}
