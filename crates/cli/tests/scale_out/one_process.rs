//! Everything in one process, on engines.

use crate::api::{begin_endless, call, get_json, listed, listed_as, same_bytes, until};
use crate::engines::Engines;
use crate::support::{complaint, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn one_process_keeps_its_archive_in_postgresql() {
    let mut engines = Engines::start_migrated().await;
    engines.set("VERBATIM_NATS__URL", "");
    let up = engines.start_role("up", "data");
    let first = call(&up.relay, "天气?").await;
    listed(&up.dashboard, &first).await;
    same_bytes(&up.dashboard, &first).await;
    let (_, page) = get_json(&format!("{}/api/v1/exchanges?q=天气+in:all", up.dashboard)).await;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1), "{page}");
    assert!(!engines.path("data/archive").exists() && engines.path("data/log").exists());
    up.stop();

    let backup = engines.output(&["backup", "copy", "--data-dir", "data"]);
    assert!(complaint(&backup).contains("pg_dump"), "{}", complaint(&backup));
    let reindex = engines.output(&["reindex", "--data-dir", "data"]);
    assert!(complaint(&reindex).contains("VERBATIM_MEILISEARCH__URL"), "{}", complaint(&reindex));

    let up = engines.start_role("up", "data");
    listed(&up.dashboard, &first).await;
    up.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_moves_to_postgresql_is_told_how_to_carry_earlier_records_over() {
    let mut engines = Engines::start_migrated().await;
    engines.set("VERBATIM_NATS__URL", "");
    std::fs::create_dir_all(engines.path("my data/archive")).unwrap();
    let up = engines.start_role("up", "my data");
    let expected = format!("`verbatim import --from-data-dir '{}'`", engines.path("my data").display());
    assert_eq!(up.messages(&expected).len(), 1, "{}", up.log());
    up.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_uses_nats_and_postgresql() {
    let engines = Engines::start_migrated().await;
    let up = engines.start_role("up", "data");
    let only = call(&up.relay, "天气?").await;
    listed(&up.dashboard, &only).await;
    same_bytes(&up.dashboard, &only).await;
    let (_, health) = get_json(&format!("{}/api/v1/health/pipeline", up.dashboard)).await;
    assert_eq!(health["status"], "ok", "{health}");
    assert!(!engines.path("data/log").exists(), "the log is on NATS");
    up.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_still_holds_calls_is_not_left_behind_for_nats() {
    let mut engines = Engines::start_migrated().await;
    let (nats, postgres) = (engines.nats.url(), engines.postgres.url(&engines.database));
    engines.set("VERBATIM_NATS__URL", "");
    // What the caller has seen end is in the log.
    engines.set("VERBATIM_GATEWAY__CAPTURE", "required");
    let up = engines.start_role("up", "data");
    let only = call(&up.relay, "天气?").await;
    // It dies with the call in its log: PostgreSQL can't be reached.
    engines.postgres.sql("postgres", &format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", engines.database));
    engines.postgres.end_sessions(&engines.database);
    let last = call(&up.relay, "and now?").await;
    up.kill();
    engines.postgres.sql("postgres", &format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", engines.database));
    engines.set("VERBATIM_NATS__URL", &nats);
    let refused = complaint(&engines.output(&["up", "--data-dir", "data", "--log-level", "off"]));
    assert!(refused.contains("not archived yet") && refused.contains("without [nats]"), "{refused}");

    engines.set("VERBATIM_NATS__URL", "");
    engines.set("VERBATIM_POSTGRES__URL", &postgres);
    let up = engines.start_role("up", "data");
    listed(&up.dashboard, &only).await;
    listed(&up.dashboard, &last).await;
    up.stop();
    engines.set("VERBATIM_NATS__URL", &nats);
    engines.start_role("up", "data").stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_holds_a_call_that_was_cut_off_is_not_left_behind_for_nats() {
    let mut engines = Engines::start_migrated().await;
    let nats = engines.nats.url();
    engines.set("VERBATIM_NATS__URL", "");
    // Its start is in the log before the provider is called; it never gets an end.
    engines.set("VERBATIM_GATEWAY__CAPTURE", "required");
    let up = engines.start_role("up", "data");
    let (id, answer) = begin_endless(&up.relay).await;
    up.kill();
    drop(answer);
    engines.set("VERBATIM_NATS__URL", &nats);
    for role in ["up", "gateway"] {
        let refused = complaint(&engines.output(&[role, "--data-dir", "data", "--log-level", "off"]));
        let says = ["not archived yet", "without [nats]", "settles calls"];
        assert!(says.iter().all(|text| refused.contains(text)), "{role}: {refused}");
    }

    engines.set("VERBATIM_NATS__URL", "");
    let up = engines.start_role("up", "data");
    listed_as(&up.dashboard, &id, "incomplete").await;
    up.stop();
    engines.set("VERBATIM_NATS__URL", &nats);
    for role in ["up", "gateway"] {
        engines.start_role(role, "data").stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_relays_on_while_postgresql_does_not_let_it_in_and_archives_it_all_once_it_does() {
    let mut engines = Engines::start_migrated().await;
    engines.set("VERBATIM_NATS__URL", "");
    let role = format!("only_{}", engines.database);
    let alter = |engines: &Engines, sql: &str| engines.postgres.sql("postgres", sql);
    alter(&engines, &format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'f1rst'"));
    let url = format!("postgres://{role}:f1rst@127.0.0.1:{}/{}", engines.postgres.port(), engines.database);
    engines.set("VERBATIM_POSTGRES__URL", &url);
    engines.set("VERBATIM_WEB__ADMIN_LISTEN", "127.0.0.1:0");
    let up = engines.start_role("up", "data");
    let before = call(&up.relay, "is anybody there?").await;
    listed(&up.dashboard, &before).await;

    alter(&engines, &format!("ALTER ROLE {role} PASSWORD 's3cond'"));
    engines.postgres.end_sessions(&engines.database);
    let meanwhile = call(&up.relay, "and now?").await;
    let readyz = format!("{}/readyz", up.dashboard);
    until(&readyz, "the dashboard not to be ready", |status, _| status == 503).await;
    let why = get_json(&format!("{}/readyz", up.health)).await.1.to_string();
    assert!(why.contains("refuses our credentials") && !why.contains("f1rst"), "{why}");
    let (status, _) = get_json(&format!("{}/api/v1/exchanges", up.dashboard)).await;
    assert_eq!(status, 503);
    wait_for("the recorder to say why it waits", || up.messages("can't archive now").pop());
    let after = call(&up.relay, "still there?").await;
    assert!(up.log().contains("refuses our credentials") && !up.log().contains("f1rst"), "{}", up.log());

    alter(&engines, &format!("ALTER ROLE {role} PASSWORD 'f1rst'"));
    until(&readyz, "the dashboard to be ready again", |status, _| status == 200).await;
    for call in [&before, &meanwhile, &after] {
        listed(&up.dashboard, call).await;
        same_bytes(&up.dashboard, call).await;
    }
    up.stop();
}
