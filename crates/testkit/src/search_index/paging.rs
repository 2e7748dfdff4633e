//! Order and pages.

use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{SearchIndex, SearchRequest};

use super::{MakeWorld, NOW, document, found, numbers, query, request, search, write};
use crate::ExchangeBuilder;

/// Rebuilds write backwards.
pub async fn hits_come_newest_first_whatever_the_order_of_writing(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    for n in [3, 1, 5, 4, 2] {
        write(&*index, vec![document(n, "word", "")]).await;
    }
    assert_eq!(found(&*index, "word").await, [5, 4, 3, 2, 1]);
    assert_eq!(found(&*index, "").await, [5, 4, 3, 2, 1]);
    world.close().await;
}

/// Also among exchanges of one millisecond.
pub async fn pages_follow_each_other_without_gaps_or_repeats(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    let mut ids: Vec<ExchangeId> = (0..60)
        .flat_map(|n| {
            let time = NOW.minus(std::time::Duration::from_millis(n / 20));
            // Ids of one millisecond, apart from one another.
            let bounds = [ExchangeId::lowest_at(time), ExchangeId::highest_at(time)];
            let between = ExchangeId::mint();
            let mut bytes = *between.as_bytes();
            bytes[..6].copy_from_slice(&bounds[0].as_bytes()[..6]);
            bytes[9] = u8::try_from(n).unwrap();
            ExchangeId::try_from(&bytes[..])
        })
        .collect();
    let documents = ids.iter().map(|id| ExchangeBuilder::new(*id).document("word", "")).collect();
    write(&*index, documents).await;
    ids.sort();
    ids.reverse();
    for (text, limit) in [("word", 7), ("word", 1), ("", 7), ("provider:openai", 59), ("word status:200", 60)]
    {
        let pages = pages(&*index, text, limit).await;
        assert_eq!(pages, ids, "{text:?} by {limit}");
    }
    world.close().await;
}

async fn pages(index: &dyn SearchIndex, text: &str, limit: usize) -> Vec<ExchangeId> {
    let mut all = Vec::new();
    let mut before = None;
    loop {
        let page = index.search(SearchRequest { query: query(text), before, skip: 0, limit }).await.unwrap();
        assert!(page.hits.len() <= limit);
        all.extend(page.hits.iter().map(|hit| hit.id));
        before = all.last().copied();
        if !page.more {
            return all;
        }
        assert_eq!(page.hits.len(), limit, "a page is full where there are more");
    }
}

/// By passing over hits.
pub async fn pages_may_be_numbered(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    write(&*index, (1..=10).map(|n| document(n, "word", "")).collect()).await;
    let page = index.search(SearchRequest { skip: 4, limit: 3, ..request("word") }).await.unwrap();
    assert_eq!(numbers(&page), [6, 5, 4]);
    assert!(page.more);
    let page = index.search(SearchRequest { skip: 8, limit: 3, ..request("word") }).await.unwrap();
    assert_eq!(numbers(&page), [2, 1]);
    assert!(!page.more);
    let page = index.search(SearchRequest { skip: 20, limit: 3, ..request("word") }).await.unwrap();
    assert!(page.hits.is_empty() && !page.more);
    let page = index.search(SearchRequest { limit: 0, ..request("word") }).await.unwrap();
    assert!(page.hits.is_empty() && page.more);
    world.close().await;
}

/// Whatever the page.
pub async fn a_total_is_exact_where_it_is_known(world: MakeWorld) {
    let world = world();
    let index = world.open().await;
    write(&*index, (1..=10).map(|n| document(n, if n % 2 == 0 { "even" } else { "odd" }, "")).collect())
        .await;
    for (text, expected) in
        [("even", 5), ("", 10), ("status:200", 10), ("odd status:200", 5), ("none", 0), ("-odd", 5)]
    {
        let total = search(&*index, text).await.total;
        assert!(total.is_none_or(|total| total == expected), "{text:?}: {total:?}");
        let page = SearchRequest { skip: 2, limit: 1, ..request(text) };
        let total = index.search(page).await.unwrap().total;
        assert!(total.is_none_or(|total| total == expected), "{text:?}, a later page: {total:?}");
    }
    world.close().await;
}
