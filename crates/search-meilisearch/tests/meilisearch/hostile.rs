//! What a real server makes of content and queries that mean it no good.

use verbatim_core::model::query::{Condition, Field, Filter, Pattern, Query, TextTerm, parse};
use verbatim_core::model::{ExchangeId, SearchDocument, Timestamp};
use verbatim_core::ports::{SearchIndex, SearchRequest};
use verbatim_search_meilisearch::MeilisearchIndex;
use verbatim_testkit::ExchangeBuilder;

use crate::real::{OwnServer, Real};

const HOSTILE: [&str; 10] = [
    "a\0b",
    "<em>mark</em>",
    "\" OR id EXISTS OR app = \"",
    "' OR 1=1",
    "\\\" OR app EXISTS \\",
    "\u{e000}\u{202e}\u{feff}",
    "_formatted",
    "^x$ NOT y",
    "line\nfeed\r\u{2028}",
    "🙂 ﷺ e\u{301}\u{327} İ ß",
];

fn document(text: &str) -> SearchDocument {
    let text = || text.to_owned();
    let exchange = ExchangeBuilder::minted().with(|exchange| {
        exchange.caller.app = Some(text());
        exchange.tags = vec![text(), "plain".to_owned()];
        exchange.error = Some(text());
        exchange.path = text();
    });
    let document = exchange.document(&format!("needle {}", text()), &text());
    SearchDocument { reasoning: text(), tools: text(), system: text(), error: text(), ..document }
}

async fn found(index: &MeilisearchIndex, query: Query) -> Vec<ExchangeId> {
    let request = SearchRequest { query, before: None, skip: 0, limit: 100 };
    index.search(request).await.expect("it is an answer").hits.into_iter().map(|hit| hit.id).collect()
}

fn filter(field: Field, value: &str, excluded: bool) -> Query {
    let condition = Condition::Matches(vec![Pattern { runs: vec![value.to_owned()] }]);
    Query { filters: vec![Filter { field, condition, excluded }], ..Query::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_value_says_it_is_only_compared() {
    if !Real::is_given() {
        return;
    }
    let real = Real::index();
    let index = real.open().await;
    let documents = HOSTILE.map(document);
    let ids = documents.clone().map(|document| document.id());
    index.write(documents.to_vec()).await.unwrap();
    for (id, text) in ids.iter().zip(HOSTILE) {
        for field in [Field::App, Field::Tag, Field::Error, Field::Path] {
            assert_eq!(found(&index, filter(field, text, false)).await, [*id], "{field:?} {text:?}");
            assert_eq!(
                found(&index, filter(field, text, true)).await.len(),
                HOSTILE.len() - 1,
                "-{field:?} {text:?}"
            );
        }
        let word = TextTerm { text: text.to_owned(), phrase: true, excluded: false };
        let needle = TextTerm { text: "needle".to_owned(), ..word.clone() };
        let words = Query { text: vec![word, needle], ..Query::default() };
        let answer = found(&index, words).await;
        assert!(answer.is_empty() || answer.contains(id), "{text:?}");
    }
}

/// No markup of a document is taken for a mark, and none is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snippets_show_the_text_as_it_was() {
    if !Real::is_given() {
        return;
    }
    let real = Real::index();
    let index = real.open().await;
    index.write(HOSTILE.map(document).to_vec()).await.unwrap();
    let query = parse("needle", Timestamp::default()).unwrap();
    let page = index.search(SearchRequest { query, before: None, skip: 0, limit: 100 }).await.unwrap();
    assert_eq!(page.hits.len(), HOSTILE.len());
    for (hit, text) in page.hits.iter().rev().zip(HOSTILE) {
        let [snippet] = &hit.snippets[..] else { panic!("one field has the word: {:?}", hit.snippets) };
        assert_eq!(snippet.text, format!("needle {text}"));
        assert_eq!(snippet.marks.first(), Some(&(0..6)));
        assert_eq!(snippet.marks.len(), 1);
    }
}

/// And the next start allows it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_look_for_parts_says_how_it_will() {
    let Some(server) = OwnServer::start() else { return };
    let open = async || {
        let index = MeilisearchIndex::new(server.config()).unwrap();
        while index.check().await.is_err() {}
        index
    };
    let index = open().await;
    let document = document("plain");
    index.write(vec![document.clone()]).await.unwrap();
    let part = || filter(Field::Path, "lai", false);
    assert_eq!(found(&index, part()).await, [document.id()]);
    server.call("PATCH", "/experimental-features", r#"{"containsFilter":false}"#);
    let request = SearchRequest { query: part(), before: None, skip: 0, limit: 1 };
    let refused = index.search(request).await.unwrap_err();
    assert!(refused.to_string().contains("--experimental-contains-filter"), "{refused}");
    assert_eq!(found(&index, filter(Field::App, "plain", false)).await, [document.id()]);
    assert_eq!(found(&open().await, part()).await, [document.id()]);
}
