//! Pages of documents that are looked at again, because Meilisearch finds the words of a phrase and not the phrase.

use verbatim_core::model::query::parse;
use verbatim_core::model::{ExchangeId, SearchDocument, Timestamp};
use verbatim_core::ports::{SearchIndex, SearchPage, SearchRequest};
use verbatim_search_meilisearch::MeilisearchIndex;
use verbatim_testkit::ExchangeBuilder;

use crate::fake::Fake;
use crate::real::Real;

/// Documents that have both words; one in so many has the phrase. Gives their ids, newest first.
async fn filled(index: &MeilisearchIndex, documents: usize, one_in: usize) -> Vec<ExchangeId> {
    let text = |number| if number % one_in == one_in - 1 { "a silver lining" } else { "lining, silver" };
    let mut documents: Vec<SearchDocument> =
        (0..documents).map(|number| ExchangeBuilder::minted().document(text(number), "")).collect();
    documents.sort_unstable_by_key(|document| std::cmp::Reverse(document.id()));
    let has = |document: &&SearchDocument| document.asked.starts_with('a');
    let ids = documents.iter().filter(has).map(SearchDocument::id).collect();
    index.write(documents).await.expect("it is written");
    ids
}

fn request(skip: u64, limit: usize) -> SearchRequest {
    let query = parse("\"silver lining\"", Timestamp::default()).expect("a query");
    SearchRequest { query, before: None, skip, limit }
}

fn ids(page: &SearchPage) -> Vec<ExchangeId> {
    page.hits.iter().map(|hit| hit.id).collect()
}

#[tokio::test]
async fn a_phrase_that_is_frequent_is_found_in_one_page() {
    let fake = Fake::start().await;
    let index = fake.index();
    let expected = filled(&index, 500, 1).await;
    let page = index.search(request(0, 50)).await.unwrap();
    assert_eq!(ids(&page), expected[..50]);
    assert!(page.more);
    assert_eq!(fake.play().pages, [51], "nothing is fetched that nobody looks at");
}

#[tokio::test]
async fn a_phrase_that_is_rare_is_found_in_few_pages() {
    let fake = Fake::start().await;
    let index = fake.index();
    let expected = filled(&index, 3_000, 70).await;
    let page = index.search(request(0, 50)).await.unwrap();
    assert_eq!(ids(&page), expected);
    assert_eq!((page.more, page.total), (false, Some(42)));
    assert_eq!(fake.play().pages, [51, 102, 204, 408, 816, 1_000, 1_000]);
}

#[tokio::test]
async fn more_than_can_be_looked_through_is_told_unless_enough_was_found_before() {
    let fake = Fake::start().await;
    let index = fake.index();
    let expected = filled(&index, 20_500, 1_900).await;
    let failed = index.search(request(0, 50)).await.unwrap_err();
    assert!(
        failed.to_string().contains("more than 20000 exchanges would have to be looked through"),
        "{failed}"
    );
    assert_eq!(fake.play().pages.iter().sum::<u64>(), 20_000);
    let page = index.search(request(0, 9)).await.unwrap();
    assert_eq!((ids(&page), page.more), (expected[..9].to_vec(), true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_follow_one_another_on_a_real_server() {
    if !Real::is_given() {
        return;
    }
    let real = Real::index();
    let index = real.open().await;
    let expected = filled(&index, 2_000, 90).await;
    let mut found = Vec::new();
    loop {
        let before = found.last().copied();
        let page = index.search(SearchRequest { before, ..request(0, 5) }).await.unwrap();
        found.extend(ids(&page));
        if !page.more {
            break;
        }
    }
    assert_eq!(found, expected);
    assert_eq!(ids(&index.search(request(7, 5)).await.unwrap()), expected[7..12]);
}
