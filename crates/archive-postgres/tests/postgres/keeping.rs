//! Whether changes are noted for the search index hangs on whether somebody is there to read it.

use std::collections::HashSet;
use std::time::Duration;

use tokio::task::JoinSet;
use verbatim_archive_postgres::PostgresConfig;
use verbatim_core::ports::Archive;
use verbatim_testkit::ExchangeBuilder;
use verbatim_testkit::postgres::PostgresServer;

use crate::{connect, database, ids, store, until};

fn records(count: usize) -> Vec<verbatim_core::model::ExchangeRecord> {
    (0..count).map(|_| ExchangeBuilder::minted().request("x").build()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_noted_where_there_is_no_search_index() {
    let server = PostgresServer::shared();
    let (name, config) = database(server).await;
    let archive = connect(&config).await;
    store(&archive, &records(5)).await;
    archive.maintain().await.unwrap();
    assert_eq!(server.sql(&name, "SELECT count(*) FROM outbox"), "0");
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_dropped_once_nobody_was_there_for_long_and_never_while_somebody_is() {
    let server = PostgresServer::shared();
    let (name, config) = database(server).await;
    let config = PostgresConfig { outbox_patience: Duration::ZERO, ..config };
    let (writer, reader) = (connect(&config).await, connect(&config).await);
    let waiting = || server.sql(&name, "SELECT count(*) FROM outbox");
    reader.keep_outbox().await.unwrap();
    reader.refill_outbox().await.unwrap();
    store(&writer, &records(5)).await;
    assert_eq!(reader.claim_outbox(2).await.unwrap().len(), 2);
    for _ in 0..3 {
        writer.maintain().await.unwrap();
    }
    assert_eq!(waiting(), "5");
    reader.close().await;
    until(async || {
        writer.maintain().await.unwrap();
        waiting() == "0"
    })
    .await;
    store(&writer, &records(2)).await;
    assert_eq!(waiting(), "0");

    // Whoever comes next hears of it, however often they ask, until they have made up for it.
    let reader = connect(&config).await;
    for _ in 0..2 {
        assert!(reader.keep_outbox().await.unwrap());
    }
    assert_eq!(reader.refill_outbox().await.unwrap(), 7);
    assert!(!reader.keep_outbox().await.unwrap());
    for _ in 0..3 {
        writer.maintain().await.unwrap();
    }
    assert_eq!(waiting(), "7");
    reader.close().await;
    writer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_comes_while_others_commit_misses_nothing() {
    let server = PostgresServer::shared();
    let (name, config) = database(server).await;
    // Between the look whether entries are kept and the commit is time for anything.
    let linger = "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    PERFORM pg_sleep(0.05); RETURN NULL; END $$;
                  CREATE TRIGGER linger AFTER INSERT ON exchange FOR EACH STATEMENT EXECUTE FUNCTION linger()";
    server.sql(&name, linger);
    let reader = connect(&config).await;
    let mut committers = JoinSet::new();
    for _ in 0..4 {
        let config = config.clone();
        committers.spawn(async move {
            let (archive, all) = (connect(&config).await, records(30));
            for record in &all {
                store(&archive, std::slice::from_ref(record)).await;
            }
            archive.close().await;
            ids(&all)
        });
    }
    until(async || server.sql(&name, "SELECT count(*) >= 10 FROM exchange") == "t").await;
    assert!(reader.keep_outbox().await.unwrap());
    reader.refill_outbox().await.unwrap();
    let all: HashSet<_> = committers.join_all().await.into_iter().flatten().collect();
    let entries: HashSet<_> =
        reader.claim_outbox(1000).await.unwrap().into_iter().map(|entry| entry.id).collect();
    assert_eq!((entries.len(), entries == all), (120, true));
    assert_eq!(
        server.sql(&name, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"),
        "0"
    );
    reader.close().await;
}
