//! What is wrong is said, with what was expected and what to do, and without secrets.

use std::sync::Arc;
use std::time::Duration;

use verbatim_archive_postgres::{Migrated, PostgresArchive, PostgresConfig, migrate};
use verbatim_core::ports::{Archive, PortError, PortResult, SystemClock};
use verbatim_testkit::postgres::{PASSWORD, PostgresServer, USER};

use super::{connect, database};

async fn refusal(config: &PostgresConfig) -> PortError {
    let connected = PostgresArchive::connect(config, Arc::new(SystemClock)).await;
    let error = connected.map(|_| ()).unwrap_err();
    assert!(!error.to_string().contains(PASSWORD) && !error.to_string().contains("wr0ng"), "{error}");
    error
}

fn permanent(error: &PortError, expected: &[&str]) {
    assert!(matches!(error, PortError::Permanent(_)), "{error:?}");
    for word in expected {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_schema_is_refused_with_both_versions_and_the_remedy() {
    let server = PostgresServer::shared();
    let name = server.create_database();
    let config = PostgresConfig { patience: Duration::ZERO, ..PostgresConfig::new(server.url(&name)) };
    let place = format!("127.0.0.1:{}/{name}", server.port());
    permanent(&refusal(&config).await, &["PostgreSQL", &place, "schema none", "needs 4", "verbatim migrate"]);
    let first = migrate(&config).await.unwrap();
    assert_eq!(first, Migrated { from: None, to: 4 });
    assert_eq!(migrate(&config).await.unwrap(), Migrated { from: Some(4), to: 4 });
    server.sql(&name, "DELETE FROM refinery_schema_history WHERE version > 1");
    permanent(&refusal(&config).await, &[&place, "schema 1", "needs 4", "verbatim migrate"]);
    server.sql(&name, "UPDATE refinery_schema_history SET version = 777");
    permanent(&refusal(&config).await, &[&place, "schema 777", "newer than the 4"]);
    permanent(&migrate(&config).await.unwrap_err(), &[&place, "schema 777", "newer than the 4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_migrate_at_once_do_it_once() {
    let server = PostgresServer::shared();
    let config = PostgresConfig::new(server.url(&server.create_database()));
    let results: [PortResult<Migrated>; 3] =
        tokio::join!(migrate(&config), migrate(&config), migrate(&config)).into();
    let from_nothing = results.iter().filter(|done| done.as_ref().unwrap().from.is_none()).count();
    assert_eq!(from_nothing, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waiting_can_t_mend_is_permanent_and_what_it_can_is_transient() {
    let server = PostgresServer::shared();
    let (name, config) = database(server).await;
    let port = server.port();
    let with = |url: String| PostgresConfig { url, ..config.clone() };
    let wrong = with(format!("postgres://{USER}:wr0ng@127.0.0.1:{port}/{name}"));
    permanent(&refusal(&wrong).await, &["credentials", &port.to_string(), "pg_hba.conf"]);
    let missing = with(server.url("nothing_there"));
    permanent(&refusal(&missing).await, &["nothing_there", "createdb"]);
    let nowhere = with(format!("postgres://{USER}:{PASSWORD}@127.0.0.1:1/{name}"));
    let error = refusal(&nowhere).await;
    assert!(error.is_transient() && error.to_string().contains("127.0.0.1:1"), "{error:?}");
    let encrypted = with(format!("{}?sslmode=require", config.url));
    permanent(&refusal(&encrypted).await, &["TLS", &port.to_string()]);
    permanent(
        &refusal(&with("postgres://x:wr0ng@127.0.0.1:port/y".to_owned())).await,
        &["expected something like"],
    );
    server.sql("postgres", "CREATE DATABASE latin ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'");
    permanent(&refusal(&with(server.url("latin"))).await, &["SQL_ASCII", "UTF8", "createdb"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_a_server_that_is_not_there_yet() {
    let server = Arc::new(PostgresServer::start(&verbatim_testkit::postgres::PostgresOptions::default()));
    let (_, config) = database(&server).await;
    let config = PostgresConfig { patience: Duration::from_secs(120), ..config };
    server.stop();
    let started = Arc::clone(&server);
    let starting = PostgresArchive::connect(&config, Arc::new(SystemClock));
    let (archive, ()) = tokio::join!(starting, async {
        tokio::task::spawn_blocking(move || started.restart()).await.unwrap();
    });
    archive.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_looks_on_changes_nothing() {
    let server = PostgresServer::shared();
    let (name, config) = database(server).await;
    let days = || server.sql(&name, "SELECT count(*) FROM exchange_day");
    let none = days();
    let onlooker = PostgresArchive::connect_to_look(&config, Arc::new(SystemClock)).await.unwrap();
    assert_eq!(onlooker.health().await.unwrap().exchanges, 0);
    onlooker.close().await;
    assert_eq!(days(), none);
    connect(&config).await.close().await;
    assert_ne!(days(), none, "a role makes partitions ahead");
}
