//! What somebody has to mend: it is told at once to whoever connects, and waited for by an archive that is open.

use std::sync::Arc;
use std::time::Duration;

use verbatim_archive_postgres::{PostgresArchive, PostgresConfig, migrate};
use verbatim_core::model::ExchangeRecord;
use verbatim_core::ports::{PortError, SystemClock};
use verbatim_testkit::ExchangeBuilder;
use verbatim_testkit::postgres::PostgresServer;

use super::{connect, database, noise, store, try_commit};

fn record(seed: u64) -> Vec<ExchangeRecord> {
    vec![ExchangeBuilder::minted().request(noise(seed, 3000)).response("ok").build()]
}

/// A database that belongs to a role without other rights, brought up to date by it.
async fn database_of_a_role(server: &PostgresServer, role: &str) -> (String, PostgresConfig) {
    let name = server.create_database();
    server.sql("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD 'f1rst'"));
    server.sql("postgres", &format!("ALTER DATABASE {name} OWNER TO {role}"));
    let url = format!("postgres://{role}:f1rst@127.0.0.1:{}/{name}", server.port());
    let config = PostgresConfig { patience: Duration::ZERO, ..PostgresConfig::new(url) };
    migrate(&config).await.unwrap();
    (name, config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_archive_waits_for_what_a_start_is_refused_for_and_goes_on_once_it_is_mended() {
    let server = PostgresServer::shared();
    let (name, config) = database_of_a_role(server, "mended").await;
    let archive = connect(&config).await;
    store(&archive, &record(0)).await;
    let place = "postgres";
    let away = format!("{name}_away");
    let faults = [
        (
            "a password",
            place,
            "ALTER ROLE mended PASSWORD 's3cond'",
            "ALTER ROLE mended PASSWORD 'f1rst'",
            "28P01",
        ),
        ("a role", place, "ALTER ROLE mended NOLOGIN", "ALTER ROLE mended LOGIN", "28000"),
        (
            "a database",
            place,
            &*format!("ALTER DATABASE {name} RENAME TO {away}"),
            &*format!("ALTER DATABASE {away} RENAME TO {name}"),
            "3D000",
        ),
        (
            "a right",
            &name,
            "REVOKE INSERT ON exchange FROM mended",
            "GRANT INSERT ON exchange TO mended",
            "42501",
        ),
        (
            "a column",
            &name,
            "ALTER TABLE exchange RENAME COLUMN model_asked TO asked",
            "ALTER TABLE exchange RENAME COLUMN asked TO model_asked",
            "42703",
        ),
    ];
    for (seed, (what, database, harm, mend, state)) in faults.into_iter().enumerate() {
        server.end_sessions(&name);
        server.sql(database, harm);
        let late = record(seed as u64 + 1);
        let waits = try_commit(&archive, &late).await.unwrap_err();
        let told = waits.to_string();
        assert!(waits.is_transient() && told.contains(state), "{what}: {waits:?}");
        assert!(!told.contains("f1rst"), "{what}: {told}");
        if database == place {
            let refused =
                PostgresArchive::connect(&config, Arc::new(SystemClock)).await.map(|_| ()).unwrap_err();
            assert!(
                matches!(&refused, PortError::Permanent(why) if why.contains(state)),
                "{what}: {refused:?}"
            );
        }
        server.sql(database, mend);
        store(&archive, &late).await;
    }
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_becomes_newer_is_used_on_and_what_fails_for_another_one_says_so() {
    let server = PostgresServer::shared();
    let (name, config) = database(server).await;
    let archive = connect(&config).await;
    archive.maintain().await.unwrap();
    // As a migration does: it adds, and notes its version.
    server.sql(
        &name,
        "ALTER TABLE exchange ADD COLUMN later text;
         INSERT INTO refinery_schema_history VALUES (9999, 'later', '2030-01-01T00:00:00Z', '0')",
    );
    store(&archive, &record(0)).await;
    archive.maintain().await.unwrap();
    // As after a restore of an older one.
    server.sql(
        &name,
        "ALTER TABLE exchange RENAME COLUMN model_asked TO later_asked;
         DELETE FROM refinery_schema_history WHERE version > 1",
    );
    let waits = try_commit(&archive, &record(1)).await.unwrap_err();
    let says = ["42703", "schema 1", "run `verbatim migrate`"];
    assert!(says.iter().all(|text| waits.to_string().contains(text)) && waits.is_transient(), "{waits:?}");
    server.sql(&name, "DROP TABLE tombstone, exchange_day CASCADE");
    let waits = archive.maintain().await.unwrap_err();
    assert!(waits.to_string().contains("schema 1") && waits.is_transient(), "{waits:?}");
    archive.close().await;
}
