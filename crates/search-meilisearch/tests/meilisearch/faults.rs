//! What becomes of documents and searches when the server misbehaves; played, so that it runs everywhere.

use std::sync::Arc;
use std::time::Duration;

use crate::fake::{Fake, error};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use verbatim_core::model::query::parse;
use verbatim_core::model::{SearchDocument, Timestamp};
use verbatim_core::ports::{PortError, SearchIndex, SearchRequest, WriteOutcome};
use verbatim_search_meilisearch::MeilisearchIndex;
use verbatim_testkit::ExchangeBuilder;

fn documents(texts: &[&str]) -> Vec<SearchDocument> {
    texts.iter().map(|text| ExchangeBuilder::minted().document(text, "")).collect()
}

fn many(count: usize) -> Vec<SearchDocument> {
    documents(&vec!["fine"; count])
}

fn request() -> SearchRequest {
    let query = parse("", Timestamp::default()).expect("a query");
    SearchRequest { query, before: None, skip: 0, limit: 1_000 }
}

fn refused(outcomes: &[WriteOutcome]) -> Vec<usize> {
    let refused = |(place, outcome)| matches!(outcome, &WriteOutcome::Refused(_)).then_some(place);
    outcomes.iter().enumerate().filter_map(refused).collect()
}

/// Fails together all documents of which one says this.
fn fails_of(text: &'static str, error: Value) -> crate::fake::Verdict {
    Box::new(move |documents| {
        let says = |document: &Value| document["text"]["asked"] == json!(text);
        if documents.iter().any(says) { Err(error.clone()) } else { Ok(()) }
    })
}

#[tokio::test]
async fn a_document_that_fails_a_batch_is_refused_alone() {
    let fake = Fake::start().await;
    fake.play().verdict = fails_of("poison", error("invalid_document_id", "invalid_request"));
    let mut texts = ["fine"; 50];
    (texts[7], texts[31], texts[32]) = ("poison", "poison", "poison");
    let outcomes = fake.index().write(documents(&texts)).await.unwrap();
    assert_eq!(refused(&outcomes), [7, 31, 32]);
    assert!(matches!(&outcomes[7], WriteOutcome::Refused(reason) if reason.contains("invalid_document_id")));
    assert_eq!(fake.play().ids("verbatim").len(), 47);
}

#[tokio::test]
async fn a_document_that_the_server_stumbles_over_is_refused_only_if_others_go_through() {
    let fake = Fake::start().await;
    fake.play().verdict = fails_of("poison", error("internal", "internal"));
    let index = fake.index();
    let outcomes = index.write(documents(&["fine", "poison", "fine"])).await.unwrap();
    assert_eq!(refused(&outcomes), [1]);
    let alone = index.write(documents(&["poison"])).await.unwrap_err();
    assert!(alone.is_transient(), "the server may be to blame: {alone}");
}

#[tokio::test]
async fn a_server_that_is_full_is_waited_for() {
    let fake = Fake::start().await;
    fake.play().verdict = Box::new(|_| Err(error("no_space_left_on_device", "system")));
    let index = fake.index();
    let failed = index.write(many(10)).await.unwrap_err();
    assert!(failed.is_transient() && failed.to_string().contains("no_space_left_on_device"), "{failed}");
    assert_eq!(fake.play().batches, [10], "nothing is tried in halves");
    fake.play().verdict = Box::new(|_| Ok(()));
    assert_eq!(refused(&index.write(many(10)).await.unwrap()), [0; 0]);
}

#[tokio::test]
async fn a_payload_that_is_too_large_is_halved() {
    let fake = Fake::start().await;
    let index = fake.index();
    index.check().await.unwrap();
    fake.play().verdict = Box::new(|documents| {
        let too_many = error("payload_too_large", "invalid_request");
        if documents.len() > 3 { Err(too_many) } else { Ok(()) }
    });
    assert_eq!(refused(&index.write(many(20)).await.unwrap()), [0; 0]);
    assert_eq!(fake.play().ids("verbatim").len(), 20);
}

#[tokio::test]
async fn an_overloaded_server_is_waited_for() {
    let fake = Fake::start().await;
    let index = fake.index();
    for (status, code) in
        [(503, "too_many_search_requests"), (429, "too_many"), (500, "internal"), (408, "timeout")]
    {
        fake.play().refuse = Some((status, error(code, "system")));
        assert!(index.search(request()).await.unwrap_err().is_transient(), "{status}");
        assert!(index.write(many(1)).await.unwrap_err().is_transient(), "{status}");
    }
    fake.play().refuse = None;
    index.write(many(3)).await.unwrap();
    assert_eq!(index.search(request()).await.unwrap().hits.len(), 3);
}

#[tokio::test]
async fn a_server_that_is_down_is_waited_for_and_found_again() {
    let fake = Fake::start().await;
    let config = fake.config();
    drop(fake);
    let index = MeilisearchIndex::new(config).unwrap();
    for failed in [
        index.check().await.unwrap_err(),
        index.write(many(1)).await.unwrap_err(),
        index.search(request()).await.unwrap_err(),
        index.health().await.unwrap_err(),
    ] {
        assert!(failed.is_transient() && failed.to_string().contains("http://127.0.0.1:"), "{failed}");
    }
    let fake = Fake::start_at(index.address()).await;
    index.write(many(2)).await.unwrap();
    assert_eq!(fake.play().ids("verbatim").len(), 2);
}

#[tokio::test]
async fn at_most_two_tasks_are_in_flight() {
    let fake = Fake::start().await;
    let mut config = fake.config();
    config.batch_documents = 5;
    let index = Arc::new(MeilisearchIndex::new(config).unwrap());
    index.check().await.unwrap();
    for rebuilding in [false, true] {
        if rebuilding {
            index.begin_rebuild().await.unwrap();
        }
        fake.play().hold = true;
        let mut writers = JoinSet::new();
        for _ in 0..3 {
            let index = Arc::clone(&index);
            writers.spawn(async move { index.write(many(20)).await });
        }
        let before = fake.play().batches.len();
        fake.until(|play| play.batches.len() == before + 2).await;
        fake.let_go();
        while let Some(ended) = writers.join_next().await {
            assert_eq!(refused(&ended.unwrap().unwrap()), [0; 0]);
        }
        assert_eq!(fake.play().most_in_flight, 2);
    }
    assert_eq!(fake.play().ids("verbatim").len(), 120);
    assert_eq!(fake.play().ids("verbatim-next").len(), 60, "what came during the rebuild");
}

#[tokio::test]
async fn a_task_that_stays_enqueued_is_cancelled_and_tried_again() {
    let fake = Fake::start().await;
    let mut config = fake.config();
    config.task_timeout = Duration::from_millis(50);
    let index = MeilisearchIndex::new(config).unwrap();
    index.check().await.unwrap();
    fake.play().hold = true;
    let failed = index.write(many(1)).await.unwrap_err();
    assert!(failed.is_transient() && failed.to_string().contains("enqueued"), "{failed}");
    assert_eq!(fake.play().cancelled.len(), 1);
    fake.play().hold = false;
    index.write(many(1)).await.unwrap();
    assert_eq!(fake.play().ids("verbatim").len(), 1, "the cancelled one was not written");
}

#[tokio::test]
async fn a_key_that_is_refused_is_named_and_never_shown() {
    for (status, code) in [(401, "missing_authorization_header"), (403, "invalid_api_key")] {
        let fake = Fake::start().await;
        fake.play().refuse = Some((status, error(code, "auth")));
        let index = fake.index();
        for failed in [index.check().await.unwrap_err(), index.search(request()).await.unwrap_err()] {
            assert!(matches!(failed, PortError::Permanent(_)), "{failed}");
            let text = failed.to_string();
            assert!(text.contains("VERBATIM_MEILISEARCH__API_KEY") && text.contains("documents.*"), "{text}");
            assert!(!text.contains("test-key"), "{text}");
        }
        let failed = index.write(many(1)).await.unwrap_err();
        assert!(failed.is_transient(), "no document is set aside for it: {failed}");
    }
}

#[tokio::test]
async fn a_version_that_is_too_old_is_told() {
    let fake = Fake::start().await;
    fake.play().version = "1.14.2".to_owned();
    let failed = fake.index().check().await.unwrap_err();
    assert!(matches!(failed, PortError::Permanent(_)));
    assert!(failed.to_string().contains("1.14.2: expected 1.15 or newer"), "{failed}");
    assert!(fake.index().write(many(1)).await.unwrap_err().is_transient());
    fake.play().version = "1.15.0".to_owned();
    fake.index().check().await.unwrap();
}

#[tokio::test]
async fn somebody_elses_index_is_left_alone() {
    let fake = Fake::start().await;
    fake.play().primary_key = json!("sku");
    fake.play().indexes.entry("verbatim".to_owned()).or_default();
    let failed = fake.index().check().await.unwrap_err();
    assert!(matches!(failed, PortError::Permanent(_)) && failed.to_string().contains("sku"), "{failed}");
    assert_eq!(fake.play().settings_changes, 0);
}

#[tokio::test]
async fn settings_are_changed_only_where_they_differ() {
    let fake = Fake::start().await;
    fake.index().check().await.unwrap();
    assert!(fake.play().contains, "parts of values can be looked for");
    fake.index().check().await.unwrap();
    fake.index().write(many(1)).await.unwrap();
    assert_eq!(fake.play().settings_changes, 1);
    let settings = |change: &dyn Fn(&mut Value)| {
        let mut play = fake.play();
        change(play.indexes.get_mut("verbatim").unwrap().settings.as_mut().unwrap());
    };
    settings(&|settings| settings["typoTolerance"] = json!({"enabled": true}));
    fake.index().check().await.unwrap();
    assert_eq!(fake.play().settings_changes, 2);
    settings(&|settings| settings["synonyms"] = json!({"a": ["b"]}));
    fake.index().check().await.unwrap();
    assert_eq!(fake.play().settings_changes, 2, "what is none of ours is left as it is");
}

#[tokio::test]
async fn an_index_that_is_gone_is_made_again_with_its_settings() {
    let fake = Fake::start().await;
    let index = fake.index();
    index.write(many(2)).await.unwrap();
    fake.play().indexes.clear();
    index.write(many(1)).await.unwrap();
    assert!(fake.play().indexes["verbatim"].settings.is_some());
    assert!(index.needs_rebuild().await.unwrap());
    fake.play().indexes.clear();
    assert_eq!(index.search(request()).await.unwrap().hits, []);
    assert!(fake.play().indexes["verbatim"].settings.is_some());
}

#[tokio::test]
async fn a_rebuild_is_seen_by_other_processes_and_ended_by_its_own() {
    let fake = Fake::start().await;
    let (one, other) = (fake.index(), fake.index());
    assert!(one.needs_rebuild().await.unwrap());
    one.begin_rebuild().await.unwrap();
    other.write(many(1)).await.unwrap();
    assert_eq!(fake.play().ids("verbatim-next").len(), 1);
    assert!(
        matches!(other.finish_rebuild().await.unwrap_err(), PortError::Permanent(_)),
        "it is not its own"
    );
    other.begin_rebuild().await.unwrap();
    assert!(matches!(one.finish_rebuild().await.unwrap_err(), PortError::Conflict(_)), "the other's goes on");
    other.finish_rebuild().await.unwrap();
    assert!(!one.needs_rebuild().await.unwrap());
    assert_eq!(fake.play().ids("verbatim").len(), 0);
    assert!(!fake.play().indexes.contains_key("verbatim-next"));
}

#[tokio::test]
async fn what_a_late_write_left_of_a_rebuild_is_no_rebuild() {
    let fake = Fake::start().await;
    let index = fake.index();
    index.check().await.unwrap();
    fake.play().indexes.entry("verbatim-next".to_owned()).or_default();
    index.write(many(1)).await.unwrap();
    assert!(!fake.play().indexes.contains_key("verbatim-next"), "it is deleted");
    assert_eq!(fake.play().ids("verbatim").len(), 1);
}
