//! The server goes, and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use verbatim_archive_postgres::PostgresConfig;
use verbatim_core::model::{ExchangeRecord, Leg};
use verbatim_core::ports::{Archive, Committed, PortError};
use verbatim_testkit::ExchangeBuilder;
use verbatim_testkit::postgres::{PostgresOptions, PostgresServer};

use super::{connect, database, ids, noise, store, try_commit, until};

fn batch(seed: u64) -> Vec<ExchangeRecord> {
    (0..8)
        .map(|n| ExchangeBuilder::minted().request(noise(seed * 8 + n, 3000)).response("ok").build())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kills_of_the_server_and_the_pool_recovers_by_itself() {
    let server = Arc::new(PostgresServer::start(&PostgresOptions::default()));
    let (_, config) = database(&server).await;
    let archive = connect(&config).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..2 {
        let (archive, stop) = (Arc::clone(&archive), Arc::clone(&stop));
        writers.spawn(async move {
            let (mut acknowledged, mut refused, mut seed) = (Vec::new(), 0, writer * 1_000_000);
            let mut current = batch(seed);
            while !stop.load(Ordering::Relaxed) {
                match try_commit(&archive, &current).await {
                    Ok(committed) => {
                        // One that was stored by a commit whose answer was lost is there already.
                        assert!(
                            committed.iter().all(|one| !matches!(one, Committed::Refused(_))),
                            "{committed:?}"
                        );
                        acknowledged.extend(current);
                        seed += 1;
                        current = batch(seed);
                    }
                    // As the recorder does: the same again.
                    Err(error) => {
                        assert!(error.is_transient(), "{error}");
                        refused += 1;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            }
            (acknowledged, refused)
        });
    }
    for _ in 0..3 {
        let before = archive.health().await.unwrap().exchanges;
        until(async || archive.health().await.is_ok_and(|health| health.exchanges > before + 50)).await;
        let killed = Arc::clone(&server);
        tokio::task::spawn_blocking(move || {
            killed.kill();
            killed.restart();
        })
        .await
        .unwrap();
        until(async || archive.health().await.is_ok()).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut all: Vec<ExchangeRecord> = Vec::new();
    while let Some(written) = writers.join_next().await {
        all.extend(written.unwrap().0);
    }
    assert!(all.len() > 150);
    for record in &all {
        let body = archive.body(record.exchange.id, Leg::ClientRequest).await.unwrap();
        assert_eq!(body.as_ref(), Some(&record.bodies[0]));
    }
    let health = archive.health().await.unwrap();
    // What was under way at the end may be there, or not.
    assert!(health.exchanges >= all.len() as u64 && health.exchanges <= all.len() as u64 + 16);
    assert!(archive.ranks(&ids(&all)).await.unwrap().iter().all(Option::is_some));
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_or_hangs_is_transient_and_not_waited_for_without_bound() {
    let server = Arc::new(PostgresServer::start(&PostgresOptions::default()));
    let (_, config) = database(&server).await;
    let limit = Duration::from_millis(300);
    let config = PostgresConfig { read_timeout: limit, write_timeout: limit, ..config };
    let archive = connect(&config).await;
    store(&archive, &batch(1)).await;
    server.pause();
    for result in [archive.health().await.map(|_| ()), try_commit(&archive, &batch(2)).await.map(|_| ())] {
        assert!(matches!(&result, Err(error) if error.is_transient()), "{result:?}");
    }
    server.resume();
    until(async || archive.health().await.is_ok()).await;
    store(&archive, &batch(3)).await;
    server.stop();
    let error = try_commit(&archive, &batch(4)).await.unwrap_err();
    let PortError::Transient(why) = &error else { panic!("{error:?}") };
    assert!(why.contains(&format!("127.0.0.1:{}", server.port())), "{why}");
    server.restart();
    until(async || try_commit(&archive, &batch(5)).await.is_ok()).await;
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_comes_again_and_is_there_once() {
    let server = PostgresServer::start(&PostgresOptions::default());
    let (name, config) = database(&server).await;
    let archive = connect(&config).await;
    archive.keep_outbox().await.unwrap();
    store(&archive, &batch(1)).await;
    // A commit that waits for a standby is there already: it has only no answer yet.
    server.sql(&name, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    server.sql(&name, "SELECT pg_reload_conf()");
    let (committer, records) = (Arc::clone(&archive), batch(2));
    let again = records.clone();
    let mut committing = JoinSet::new();
    committing.spawn(async move { try_commit(&committer, &again).await });
    let unanswered = format!(
        "FROM pg_stat_activity WHERE datname = '{name}' AND wait_event = 'SyncRep' \
         AND application_name = 'verbatim writes'"
    );
    until(async || server.sql(&name, &format!("SELECT count(*) {unanswered}")) != "0").await;
    server.sql(&name, &format!("SELECT pg_terminate_backend(pid, 30000) {unanswered}"));
    server.sql(&name, "ALTER SYSTEM RESET synchronous_standby_names");
    server.sql(&name, "SELECT pg_reload_conf()");
    let committed = committing.join_next().await.unwrap().unwrap().unwrap();
    assert!(committed.iter().all(|one| matches!(one, Committed::Superseded)), "{committed:?}");
    for record in &records {
        let body = archive.body(record.exchange.id, Leg::ClientRequest).await.unwrap();
        assert_eq!(body.as_ref(), Some(&record.bodies[0]));
    }
    let health = archive.health().await.unwrap();
    assert_eq!((health.exchanges, health.outbox), (16, 16));
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_behind_the_commit_does_not_fail_it() {
    let server = PostgresServer::shared();
    let (name, config) = database(server).await;
    // Exchanges are closed in the transaction, and once more behind it: there every session ends.
    server.sql(
        &name,
        "CREATE SEQUENCE ended;
         CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF pg_current_xact_id_if_assigned() IS NULL THEN
                 PERFORM nextval('ended'), pg_terminate_backend(pg_backend_pid());
             END IF;
             RETURN NULL;
         END $$;
         CREATE TRIGGER cut BEFORE DELETE ON open_exchange FOR EACH STATEMENT EXECUTE FUNCTION cut();",
    );
    let archive = connect(&config).await;
    let records = batch(1);
    store(&archive, &records).await;
    assert_eq!(server.sql(&name, "SELECT is_called FROM ended"), "t");
    assert!(archive.ranks(&ids(&records)).await.unwrap().iter().all(Option::is_some));
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_of_blocks_that_were_set_back_are_refused_and_no_body_is_taken_for_another() {
    let server = PostgresServer::shared();
    let (name, config) = database(server).await;
    let archive = connect(&config).await;
    let records = batch(1);
    store(&archive, &records).await;
    archive.close().await;
    server.sql(&name, "SELECT setval('block_number', 1, false)");
    let archive = connect(&config).await;
    let others = batch(2);
    let error = try_commit(&archive, &others).await.unwrap_err();
    let PortError::Transient(why) = &error else { panic!("{error:?}") };
    let remedy = "SELECT setval('block_number', max(number) + 1) FROM block";
    assert!(why.contains(remedy), "{why}");
    server.sql(&name, remedy);
    store(&archive, &others).await;
    for record in records.iter().chain(&others) {
        let body = archive.body(record.exchange.id, Leg::ClientRequest).await.unwrap();
        assert_eq!(body.as_ref(), Some(&record.bodies[0]));
    }
    archive.close().await;
}
