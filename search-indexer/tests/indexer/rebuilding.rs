//! Making the index anew.

use verbatim_search_indexer::{IndexerError, Progress, rebuild};

use crate::{World, record};

#[tokio::test]
async fn a_rebuild_writes_every_record_and_nothing_else() {
    let mut world = World::new();
    world.config.claim = 7;
    for n in 0..20 {
        world.archive.add(record(&n.to_string()));
    }
    let stale = record("no longer archived");
    world.archive.add(stale.clone());
    world.start();
    world.until_settled().await;
    world.archive.state().records.remove(&stale.exchange.id);
    let mut seen = Vec::new();
    let done =
        rebuild(&world.config, &world.ports, &world.token, |progress| seen.push(progress)).await.unwrap();
    assert_eq!(done, Progress { done: 20, total: 20 });
    assert_eq!(seen.first(), Some(&Progress { done: 0, total: 20 }));
    assert_eq!(seen.last(), Some(&done));
    assert!(seen.is_sorted_by_key(|progress| progress.done));
    assert_eq!(world.asked().len(), 20);
    world.commit(record("after the rebuild"));
    world.until_settled().await;
    assert_eq!(world.asked().len(), 21);
    world.stop().await;
}

#[tokio::test]
async fn a_rebuild_outlasts_failures_that_pass() {
    let world = World::new();
    for n in 0..20 {
        let record = record(&n.to_string());
        world.archive.state().records.insert(record.exchange.id, record);
    }
    world.archive.state().failing = 3;
    world.index.state().failing = 3;
    rebuild(&world.config, &world.ports, &world.token, |_| {}).await.unwrap();
    assert!(world.archive.state().outbox.is_empty());
}

#[tokio::test]
async fn a_rebuild_that_is_stopped_leaves_the_old_index() {
    let world = World::new();
    world.archive.add(record("old"));
    let token = world.token.clone();
    let stopped = rebuild(&world.config, &world.ports, &world.token, |_| token.cancel()).await;
    assert!(matches!(stopped, Err(IndexerError::Stopped)));
    assert!(world.index.state().next.is_some(), "it was not finished");
    assert!(world.archive.state().claimed.is_empty());
}
