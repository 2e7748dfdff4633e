//! Engines that are not there yet, or go away for a while.

use reqwest::StatusCode;

use crate::api::{call, get, get_json, listed, same_bytes, until};
use crate::engines::Engines;
use crate::support::wait_for;

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_serves_without_nats_and_what_it_took_is_archived_once_that_is_there() {
    let mut engines = Engines::start_migrated().await;
    engines.nats.stop();
    engines.set("VERBATIM_GATEWAY__ADMIN_LISTEN", "127.0.0.1:0");
    engines.set("VERBATIM_WEB__ADMIN_LISTEN", "127.0.0.1:0");
    let (gateway, web) = (engines.start_role("gateway", "gateway"), engines.start_role("web", "web"));
    let early = call(&gateway.relay, "is anybody there?").await;
    for role in [&gateway, &web] {
        wait_for("a role to say what it waits for", || role.messages("waiting for NATS").pop());
        let (status, body) = get_json(&format!("{}/readyz", role.health)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    engines.nats.restart().await;
    let recorder = engines.start_role("recorder", "recorder");
    let late = call(&gateway.relay, "and now?").await;
    for call in [&early, &late] {
        listed(&web.dashboard, call).await;
        same_bytes(&web.dashboard, call).await;
    }
    [gateway, recorder, web].into_iter().for_each(crate::role::Role::stop);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_ends_without_nats_hands_what_it_took_to_its_successor() {
    let engines = Engines::start_migrated().await;
    engines.nats.stop();
    let gateway = engines.start_role("gateway", "gateway");
    let early = call(&gateway.relay, "is anybody there?").await;
    gateway.stop();
    engines.nats.restart().await;
    let successor = engines.start_role("gateway", "gateway");
    let (recorder, web) = (engines.start_role("recorder", "recorder"), engines.start_role("web", "web"));
    listed(&web.dashboard, &early).await;
    same_bytes(&web.dashboard, &early).await;
    [successor, recorder, web].into_iter().for_each(crate::role::Role::stop);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_wait_for_engines_that_are_missing_say_so_once_and_go_on_when_they_are_there() {
    let mut engines = Engines::start_migrated().await;
    engines.nats.stop();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    engines.set("VERBATIM_RECORDER__LISTEN", &free.to_string());
    let mut recorder = engines.spawn_role("recorder", "recorder");
    let readyz = format!("http://{free}/readyz");
    wait_for("the recorder to listen", || std::net::TcpStream::connect(free).ok());
    let problem = until(&readyz, "the recorder to say what it waits for", |status, body| {
        status == 503 && body["problems"][0].as_str().is_some_and(|problem| problem.contains("NATS at"))
    });
    let problem = problem.await["problems"][0].as_str().unwrap().to_owned();
    assert!(problem.contains(&engines.nats.address()) && problem.contains("Check that"), "{problem}");
    engines.nats.restart().await;
    recorder.wait_until_ready();
    until(&readyz, "the recorder to be ready", |status, _| status == 200).await;
    let told = recorder.messages("waiting for");
    assert!((1..=2).contains(&told.len()), "{told:?}");
    assert_eq!(recorder.messages("NATS is there").len(), 1);

    // Not while it is away again.
    engines.nats.stop();
    until(&readyz, "the recorder to miss NATS", |status, _| status == 503).await;
    engines.nats.restart().await;
    until(&readyz, "the recorder to be ready again", |status, _| status == 200).await;
    wait_for("the recorder to read again", || recorder.messages("can read the capture log again").pop());
    let told = recorder.messages("can't read the capture log");
    assert!((1..=4).contains(&told.len()), "{told:?}");
    recorder.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_still_waits_ends_in_order() {
    let engines = Engines::start_migrated().await;
    engines.nats.stop();
    let recorder = engines.spawn_role("recorder", "recorder");
    wait_for("the recorder to wait", || recorder.messages("waiting for NATS").pop());
    recorder.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_answers_probes_while_postgresql_is_missing() {
    let mut engines = Engines::start_migrated().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    engines.set("VERBATIM_WEB__LISTEN", &free.to_string());
    // Nobody listens there.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    engines.set("VERBATIM_POSTGRES__URL", &format!("postgres://ann:hidden@{nowhere}/records"));
    let admin = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    engines.set("VERBATIM_WEB__ADMIN_LISTEN", &admin.to_string());
    let web = engines.spawn_role("web", "web");
    wait_for("the dashboard to listen", || std::net::TcpStream::connect(free).ok());
    let (status, body) = get_json(&format!("http://{free}/readyz")).await;
    // Anybody may ask.
    assert_eq!(
        (status, body.to_string().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"unavailable"}"#)
    );
    wait_for("the dashboard to say what it waits for", || web.messages("waiting for PostgreSQL").pop());
    // Where people are not, it says why, and has its metrics.
    let (status, body) = get_json(&format!("http://{admin}/readyz")).await;
    assert!(
        status == StatusCode::SERVICE_UNAVAILABLE && body.to_string().contains("PostgreSQL at"),
        "{body}"
    );
    assert_eq!(get(&format!("http://{admin}/livez")).await.0, StatusCode::OK);
    assert_eq!(get(&format!("http://{admin}/metrics")).await.0, StatusCode::OK);
    assert!(!web.log().contains("hidden"), "{}", web.log());
    web.stop();
}
