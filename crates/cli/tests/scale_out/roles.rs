//! Two gateways, two recorders, an indexer and a dashboard, each in a process of its own.

use std::time::Duration;

use reqwest::StatusCode;

use crate::api::{call, get, get_json, listed, log_in, log_out, same_bytes, status_with, until};
use crate::engines::Engines;

/// After so long a call through any gateway is in the dashboard.
const SOON: Duration = Duration::from_secs(2);
const CALLS: usize = 9;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_through_either_gateway_is_in_the_dashboard_soon_and_byte_for_byte() {
    let engines = Engines::start().await;
    let migrated = engines.output(&["migrate"]);
    let told = String::from_utf8_lossy(&migrated.stdout).into_owned();
    assert!(migrated.status.success() && told.starts_with("made the archive's schema"), "{told}");
    let told = engines.output(&["migrate"]).stdout;
    assert!(String::from_utf8_lossy(&told).contains("is up to date"), "{told:?}");

    let gateways = [engines.start_role("gateway", "gateway-1"), engines.start_role("gateway", "gateway-2")];
    let recorders = [engines.start_role("recorder", "r-1"), engines.start_role("recorder", "r-2")];
    let web = engines.start_role("web", "web");
    for recorder in &recorders {
        until(&format!("{}/readyz", recorder.health), "a recorder", |status, _| status == 200).await;
        assert_eq!(get(&format!("{}/livez", recorder.health)).await.0, StatusCode::OK);
    }
    let mut took = Vec::new();
    for number in 0..CALLS {
        let call = call(&gateways[number % 2].relay, &format!("call {number}: 天气?")).await;
        took.push(listed(&web.dashboard, &call).await);
        same_bytes(&web.dashboard, &call).await;
    }
    took.sort();
    eprintln!("listed after {took:?}");
    // A machine that stands still for a moment delays one of them, not most.
    assert!(took[CALLS / 2] <= SOON, "{took:?}");

    // Word search is not set up, and that is said.
    let (_, page) = get_json(&format!("{}/api/v1/exchanges?q=天气", web.dashboard)).await;
    assert_eq!(page["notices"][0]["code"], "search_unavailable", "{page}");
    let (_, page) = get_json(&format!("{}/api/v1/exchanges?q=天气+in:all", web.dashboard)).await;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(CALLS), "{page}");
    let (status, metrics) = get(&format!("{}/metrics", recorders[0].health)).await;
    assert!(status == 200 && String::from_utf8_lossy(&metrics).contains("verbatim_log_ends_pending"));

    gateways.into_iter().chain(recorders).for_each(crate::role::Role::stop);
    web.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_indexer_without_meilisearch_waits_not_ready_and_says_why() {
    let engines = Engines::start_migrated().await;
    let indexer = engines.start_role("indexer", "indexer");
    let (status, body) = get_json(&format!("{}/readyz", indexer.health)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body["problems"][0].as_str().unwrap().contains("VERBATIM_MEILISEARCH__URL"), "{body}");
    assert_eq!(get(&format!("{}/livez", indexer.health)).await.0, StatusCode::OK);
    indexer.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_says_how_it_is_doing_apart_from_its_callers_where_that_is_asked_for() {
    let mut engines = Engines::start().await;
    engines.set("VERBATIM_GATEWAY__ADMIN_LISTEN", "127.0.0.1:0");
    let gateway = engines.start_role("gateway", "gateway");
    let (status, metrics) = get(&format!("{}/metrics", gateway.health)).await;
    assert!(status == 200 && String::from_utf8_lossy(&metrics).contains("process_open_fds"));
    until(&format!("{}/readyz", gateway.health), "the gateway", |status, _| status == 200).await;
    gateway.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_logs_out_at_one_dashboard_is_logged_out_at_all_of_them() {
    let mut engines = Engines::start_migrated().await;
    engines.set("VERBATIM_WEB__PASSWORD", "open-sesame");
    let (here, there) = (engines.start_role("web", "web-1"), engines.start_role("web", "web-2"));
    let (mine, theirs) =
        (log_in(&here.dashboard, "open-sesame").await, log_in(&there.dashboard, "open-sesame").await);
    for web in [&here, &there] {
        assert_eq!(status_with(&web.dashboard, &mine).await, 200);
    }
    log_out(&here.dashboard, &mine).await;
    for web in [&here, &there] {
        assert_eq!(status_with(&web.dashboard, &mine).await, 401);
        assert_eq!(status_with(&web.dashboard, &theirs).await, 200);
    }
    there.stop();
    // One that was not there yet, in a directory of its own.
    let later = engines.start_role("web", "web-3");
    assert_eq!(status_with(&later.dashboard, &mine).await, 401);
    assert_eq!(status_with(&later.dashboard, &theirs).await, 200);
    here.stop();
    later.stop();
}
