//! Word search on a Meilisearch that is given.

use std::time::Duration;

use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{Archive, Clock, Commit, Retention, SystemClock};
use verbatim_testkit::ExchangeBuilder;

use crate::api::{call, found, get_json, until};
use crate::engines::{Engines, Meilisearch};
use crate::refusals::refusal;
use crate::support::{complaint, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn words_are_found_by_the_dashboard_and_again_in_an_index_that_was_built_anew() {
    let Some(meilisearch) = Meilisearch::given() else { return };
    let mut engines = Engines::start_migrated().await;
    engines.use_meilisearch(&meilisearch);
    let gateway = engines.start_role("gateway", "gateway");
    let recorder = engines.start_role("recorder", "recorder");
    let web = engines.start_role("web", "web");
    // Captured before an indexer is there.
    let first = call(&gateway.relay, "What is the weather in 杭州?").await;
    let indexers = [engines.start_role("indexer", "indexer-1"), engines.start_role("indexer", "indexer-2")];
    for indexer in &indexers {
        until(&format!("{}/readyz", indexer.health), "an indexer", |status, _| status == 200).await;
    }
    found(&web.dashboard, "杭州", &first).await;
    let second = call(&gateway.relay, "And in 杭州 tomorrow?").await;
    found(&web.dashboard, "杭州", &second).await;

    // The indexers may still be building the new index; who begins last finishes.
    wait_for("a rebuild of one's own", || {
        let rebuilt = engines.output(&["reindex", "--log-level", "off"]);
        let told = complaint(&rebuilt);
        assert!(rebuilt.status.success() || told.contains("another rebuild of the search index"), "{told}");
        rebuilt.status.success().then_some(())
    });
    for call in [&first, &second] {
        found(&web.dashboard, "杭州", call).await;
    }
    [gateway, recorder, web].into_iter().chain(indexers).for_each(crate::role::Role::stop);
    meilisearch.delete(&engines.index()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_uses_all_three_engines() {
    let Some(meilisearch) = Meilisearch::given() else { return };
    let mut engines = Engines::start_migrated().await;
    engines.use_meilisearch(&meilisearch);
    let up = engines.start_role("up", "data");
    let call = call(&up.relay, "What is the weather in 杭州?").await;
    found(&up.dashboard, "杭州", &call).await;
    up.stop();
    meilisearch.delete(&engines.index()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_of_meilisearch_is_told_and_not_shown() {
    let Some(meilisearch) = Meilisearch::given().filter(|given| !given.key.is_empty()) else { return };
    let mut engines = Engines::start_migrated().await;
    engines.use_meilisearch(&meilisearch);
    engines.set("VERBATIM_MEILISEARCH__API_KEY", "hunter2");
    for role in ["indexer", "up"] {
        let told = refusal(&engines, role, 1);
        let says = [meilisearch.url.as_str(), "VERBATIM_MEILISEARCH__API_KEY"];
        assert!(says.iter().all(|text| told.contains(text)) && !told.contains("hunter2"), "{role}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_retention_deletes_is_found_no_more_and_its_columns_are() {
    let Some(meilisearch) = Meilisearch::given() else { return };
    let mut engines = Engines::start_migrated().await;
    engines.use_meilisearch(&meilisearch);
    let (indexer, web) = (engines.start_role("indexer", "indexer"), engines.start_role("web", "web"));
    let archive = engines.archive().await;
    let day = Duration::from_secs(24 * 60 * 60);
    for (age, word) in [(60, "ancient"), (40, "older"), (0, "newer")] {
        let id = ExchangeId::lowest_at(SystemClock.now().minus(day * age));
        let request =
            format!(r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"{word} text"}}]}}"#);
        let record = ExchangeBuilder::new(id)
            .with(|exchange| {
                exchange.began_at = id.time();
                exchange.tags = vec![format!("tag{word}")];
            })
            .request(request)
            .build();
        archive.commit(vec![Commit { record }]).await.unwrap();
    }
    let finds = async |word: &str, count: usize| {
        let url = format!("{}/api/v1/exchanges?q={word}", web.dashboard);
        until(&url, word, |_, page| {
            page["answered_by"] == "search_index" && page["items"].as_array().map(Vec::len) == Some(count)
        })
        .await;
    };
    finds("text", 3).await;
    let retention = Retention { bodies_days: 30, metadata_days: 50, ..Retention::default() };
    archive.enforce(retention, SystemClock.now()).await.unwrap();
    finds("text", 1).await;
    for (word, count) in [("ancient", 0), ("tagancient", 0), ("older", 0), ("tagolder", 1), ("newer", 1)] {
        finds(word, count).await;
    }
    let (_, page) = get_json(&format!("{}/api/v1/exchanges", web.dashboard)).await;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(2), "{page}");
    archive.close().await;
    [indexer, web].into_iter().for_each(crate::role::Role::stop);
    meilisearch.delete(&engines.index()).await;
}
