//! What is written stays until it is forgotten or replaced.

use std::sync::Arc;

use tokio::task::JoinSet;
use verbatim_core::model::SearchDocument;
use verbatim_core::ports::WriteOutcome;

use super::{MakeWorld, document, found, id, with_questions, write};

/// Durable when `write` returns.
pub async fn what_was_written_is_there_after_reopening(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    with_questions(&*index, &["one", "two"]).await;
    drop(index);
    world.close().await;
    let index = world.open().await;
    assert_eq!(found(&*index, "two").await, [2]);
    world.close().await;
}

/// Its words, its columns and its text.
pub async fn a_document_replaces_the_one_of_its_id(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    write(&*index, vec![document(1, "running so far", ""), document(2, "other", "")]).await;
    let mut ended = document(1, "ended", "with an answer");
    ended.exchange.status = Some(404);
    write(&*index, vec![ended.clone()]).await;
    write(&*index, vec![ended]).await;
    assert_eq!(found(&*index, "running").await, [] as [i64; 0]);
    assert_eq!(found(&*index, "ended answer").await, [1]);
    assert_eq!(found(&*index, "status:404").await, [1]);
    assert_eq!(found(&*index, "").await, [2, 1]);
    let twice = vec![document(3, "first version", ""), document(3, "second version", "")];
    write(&*index, twice).await;
    assert_eq!(found(&*index, "version").await, [3]);
    assert_eq!(found(&*index, "second").await, [3]);
    assert_eq!(found(&*index, "first").await, [] as [i64; 0]);
    world.close().await;
}

/// Its neighbours are indexed.
pub async fn a_document_that_is_too_large_is_refused_alone(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    let large = document(2, &"x".repeat(SearchDocument::FIELD_LIMIT + 1), "");
    let largest = document(3, "last", &"y ".repeat(SearchDocument::FIELD_LIMIT / 2));
    let outcomes = index.write(vec![document(1, "first", ""), large, largest]).await.unwrap();
    let indexed: Vec<_> = outcomes.iter().map(|outcome| matches!(outcome, WriteOutcome::Indexed)).collect();
    assert_eq!(indexed, [true, false, true]);
    assert!(matches!(&outcomes[1], WriteOutcome::Refused(reason) if !reason.is_empty()));
    assert_eq!(found(&*index, "").await, [3, 1]);
    assert!(index.write(Vec::new()).await.unwrap().is_empty());
    world.close().await;
}

/// Nobody's documents get lost, and searches go on meanwhile.
pub async fn many_write_at_once(world: MakeWorld) {
    const WRITERS: i64 = 8;
    const EACH: i64 = 20;
    let world = world();
    let index = world.open().await;
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let index = Arc::clone(&index);
        tasks.spawn(async move {
            for n in 0..EACH {
                write(&*index, vec![document(writer * EACH + n, "word", "")]).await;
                assert!(!found(&*index, "word").await.is_empty());
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let page =
        index.search(verbatim_core::ports::SearchRequest { limit: 1000, ..super::request("word") }).await;
    assert_eq!(super::numbers(&page.unwrap()), (0..WRITERS * EACH).rev().collect::<Vec<_>>());
    drop(index);
    world.close().await;
}

/// Up to and including an id.
pub async fn what_is_forgotten_is_gone_and_nothing_else(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    write(&*index, (1..=1200).map(|n| document(n, "word", &format!("number{n}"))).collect()).await;
    index.forget(id(1190)).await.unwrap();
    index.forget(id(1190)).await.unwrap();
    assert_eq!(found(&*index, "word").await, (1191..=1200).rev().collect::<Vec<_>>());
    assert_eq!(found(&*index, "number1190").await, [] as [i64; 0]);
    write(&*index, vec![document(1190, "word", "")]).await;
    assert_eq!(found(&*index, "word").await.len(), 11);
    assert_eq!(index.health().await.unwrap().documents, 11);
    world.close().await;
}

/// Then from the new one, where nothing is that was not written since.
pub async fn a_rebuild_answers_from_the_old_until_it_is_finished(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    complete(&*index).await;
    with_questions(&*index, &["old one", "old two"]).await;
    index.begin_rebuild().await.unwrap();
    write(&*index, vec![document(3, "new", "")]).await;
    assert_eq!(found(&*index, "").await, [3, 2, 1], "the old one answers, and is written, too");
    write(&*index, vec![document(1, "old one", "again")]).await;
    index.finish_rebuild().await.unwrap();
    assert_eq!(found(&*index, "").await, [3, 1]);
    assert_eq!(found(&*index, "old").await, [1]);
    write(&*index, vec![document(4, "later", "")]).await;
    drop(index);
    world.close().await;
    let index = world.open().await;
    assert_eq!(found(&*index, "").await, [4, 3, 1]);
    assert!(index.finish_rebuild().await.is_err(), "there is none under way");
    world.close().await;
}

/// Nor one that is begun again.
pub async fn a_rebuild_that_is_not_finished_changes_nothing(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    complete(&*index).await;
    with_questions(&*index, &["old"]).await;
    index.begin_rebuild().await.unwrap();
    write(&*index, vec![document(2, "meanwhile", "")]).await;
    drop(index);
    world.close().await;
    let index = world.open().await;
    assert_eq!(found(&*index, "").await, [2, 1]);
    index.begin_rebuild().await.unwrap();
    write(&*index, vec![document(3, "first try", "")]).await;
    index.begin_rebuild().await.unwrap();
    write(&*index, vec![document(4, "second try", "")]).await;
    assert_eq!(found(&*index, "").await, [4, 3, 2, 1]);
    index.finish_rebuild().await.unwrap();
    assert_eq!(found(&*index, "").await, [4]);
    world.close().await;
}

/// A new index may be filled in place by its first rebuild.
async fn complete(index: &dyn verbatim_core::ports::SearchIndex) {
    index.begin_rebuild().await.unwrap();
    index.finish_rebuild().await.unwrap();
}

/// And bytes.
pub async fn health_counts_documents(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    assert_eq!(index.health().await.unwrap().documents, 0);
    with_questions(&*index, &["one", "two", "three"]).await;
    write(&*index, vec![document(1, "one again", "")]).await;
    let health = index.health().await.unwrap();
    assert_eq!(health.documents, 3);
    assert!(health.bytes > 0);
    world.close().await;
}
