//! Word search on a Meilisearch that is given.

use crate::api::{call, found, until};
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
