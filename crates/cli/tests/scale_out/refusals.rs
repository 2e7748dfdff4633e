//! What no waiting mends: each role says it in one line, and ends.

use verbatim_testkit::NatsServer;

use crate::engines::Engines;
use crate::support::complaint;

/// Runs a role to its refusal, which is one line after the log's; a wrong configuration has exit code 64.
pub(crate) fn refusal(engines: &Engines, role: &str, code: i32) -> String {
    let output = engines.output(&[role, "--log-level", "off", "--data-dir", "data"]);
    let complaint = complaint(&output);
    assert_eq!(output.status.code(), Some(code), "{role}: {complaint}");
    assert_eq!(complaint.trim_end().lines().count(), 1, "{role}: {complaint}");
    complaint
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_of_nats_is_told_and_not_shown() {
    let nats = NatsServer::start("authorization { user: ann, password: right }").await;
    let mut engines = Engines::start_with(nats).await;
    engines.set("VERBATIM_NATS__USER", "ann");
    engines.set("VERBATIM_NATS__PASSWORD", "hunter2");
    for role in ["migrate", "gateway", "recorder", "web"] {
        let told = refusal(&engines, role, 1);
        let says = ["refused the credentials", &engines.nats.address(), "Check user and password"];
        assert!(says.iter().all(|text| told.contains(text)) && !told.contains("hunter2"), "{role}: {told}");
    }
    engines.set("VERBATIM_NATS__PASSWORD", "right");
    engines.start_role("gateway", "gateway").stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_of_postgresql_is_told_and_not_shown() {
    let mut engines = Engines::start_migrated().await;
    let port = engines.postgres.port();
    let address = format!("127.0.0.1:{port}/{}", engines.database);
    engines.set("VERBATIM_POSTGRES__URL", &format!("postgres://postgres:hunter2@{address}"));
    engines.set("VERBATIM_MEILISEARCH__URL", "http://127.0.0.1:9");
    for role in ["migrate", "recorder", "indexer", "web"] {
        let told = refusal(&engines, role, 1);
        let says = ["refuses our credentials", &address, "check user and password in [postgres] url"];
        assert!(says.iter().all(|text| told.contains(text)) && !told.contains("hunter2"), "{role}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_there_is_told() {
    let mut engines = Engines::start().await;
    engines.set("VERBATIM_POSTGRES__URL", &engines.postgres.url("nowhere"));
    for role in ["migrate", "recorder"] {
        let told = refusal(&engines, role, 1);
        assert!(told.contains("no such database") && told.contains("createdb"), "{role}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_or_newer_schema_is_refused_with_what_to_do() {
    let mut engines = Engines::start().await;
    engines.set("VERBATIM_MEILISEARCH__URL", "http://127.0.0.1:9");
    for role in ["recorder", "indexer", "web"] {
        let told = refusal(&engines, role, 1);
        assert!(told.contains("run `verbatim migrate` first"), "{role}: {told}");
    }
    assert!(engines.output(&["migrate"]).status.success());
    let later = "INSERT INTO refinery_schema_history VALUES (9999, 'later', '2030-01-01T00:00:00Z', '0')";
    engines.postgres.sql(&engines.database, later);
    for role in ["migrate", "recorder"] {
        let told = refusal(&engines, role, 1);
        assert!(told.contains("newer than"), "{role}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_jetstream_is_told() {
    let engines = Engines::start_with(NatsServer::start_without_jetstream().await).await;
    let told = refusal(&engines, "gateway", 1);
    assert!(told.contains("has no JetStream") && told.contains("-js"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_needs_is_asked_for_before_anything_is_opened() {
    for (variable, roles, key) in [
        ("VERBATIM_NATS__URL", ["gateway", "recorder"].as_slice(), "nats.url is missing"),
        ("VERBATIM_POSTGRES__URL", &["recorder", "indexer", "web", "migrate"], "postgres.url is missing"),
        ("VERBATIM_SECRET", &["gateway", "web"], "secret is missing"),
    ] {
        let mut engines = Engines::start().await;
        engines.set(variable, "");
        for role in roles {
            let told = refusal(&engines, role, 64);
            assert!(told.contains(key) && told.contains(variable), "{role}: {told}");
            assert!(!engines.path("data").exists(), "{role} made something");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_told_with_the_setting_that_names_it() {
    let mut engines = Engines::start_migrated().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (role, variable, setting) in [
        ("recorder", "VERBATIM_RECORDER__LISTEN", "[recorder] listen"),
        ("indexer", "VERBATIM_INDEXER__LISTEN", "[indexer] listen"),
        ("web", "VERBATIM_WEB__LISTEN", "--web-addr"),
        ("gateway", "VERBATIM_GATEWAY__LISTEN", "--gateway-addr"),
    ] {
        engines.set(variable, &address);
        let told = refusal(&engines, role, 1);
        let says = [address.as_str(), "in use", setting];
        assert!(says.iter().all(|text| told.contains(text)), "{role}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_without_postgresql_is_refused_for_one_process() {
    let mut engines = Engines::start().await;
    engines.set("VERBATIM_POSTGRES__URL", "");
    let told = refusal(&engines, "up", 64);
    assert!(told.contains("nats.url") && told.contains("[postgres] url beside it"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_acknowledgement_wait_is_refused_until_migrate_has_changed_it() {
    let mut engines = Engines::start_migrated().await;
    engines.start_role("gateway", "gateway").stop();
    engines.set("VERBATIM_NATS__ACKNOWLEDGEMENT_WAIT", "30s");
    for role in ["gateway", "recorder"] {
        let told = refusal(&engines, role, 1);
        assert!(told.contains("waits 60s") && told.contains("run `verbatim migrate`"), "{role}: {told}");
    }
    let migrated = engines.output(&["migrate"]);
    let told = String::from_utf8_lossy(&migrated.stdout).into_owned();
    assert!(migrated.status.success(), "{}", complaint(&migrated));
    assert!(told.contains("consumer recorder of stream CAP waits 30s"), "{told}");
    engines.start_role("gateway", "gateway").stop();
    engines.set("VERBATIM_NATS__ACKNOWLEDGEMENT_WAIT", "60s");
    assert!(refusal(&engines, "gateway", 1).contains("waits 30s"));
}
