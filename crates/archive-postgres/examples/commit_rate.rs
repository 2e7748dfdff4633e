//! Measures the archive on PostgreSQL, on a server of its own that waits for the disk, against its budgets:
//! - `commit_rate rate [records] [batch] [bytes a body]`: records a second, with 1, 2 and 3 committers;
//! - `commit_rate lists [records]`: how long pages, counts and sums take over so many records.
#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;
use verbatim_archive_postgres::{PostgresArchive, PostgresConfig, migrate};
use verbatim_core::ports::{Archive, Clock, Commit, PortError, SystemClock};
use verbatim_testkit::measure;
use verbatim_testkit::postgres::{PostgresOptions, PostgresServer};
use verbatim_testkit::traffic::{Words, call};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let numbers: Vec<usize> = arguments.map(|number| number.parse()).collect::<Result<_, _>>()?;
    let number = |place: usize, default| numbers.get(place).copied().unwrap_or(default).max(1);
    let settings = ["shared_buffers = 256MB", "max_wal_size = 4GB", "checkpoint_timeout = 15min"];
    let settings = settings.map(str::to_owned).to_vec();
    let options = PostgresOptions { durable: true, settings, ..PostgresOptions::default() };
    let server = tokio::task::spawn_blocking(move || PostgresServer::start(&options)).await?;
    match what.as_str() {
        "rate" => rate(&server, number(0, 100_000), number(1, 256), number(2, 1024)).await,
        "lists" => lists(&server, u32::try_from(number(0, 1_000_000))?).await,
        _ => Err("expected rate or lists".into()),
    }
}

async fn open(server: &PostgresServer) -> Result<(PostgresArchive, String), PortError> {
    let name = server.create_database();
    let config = PostgresConfig::new(server.url(&name));
    migrate(&config).await?;
    let archive = PostgresArchive::connect(&config, Arc::new(SystemClock)).await?;
    // With an entry for the search index, as most have it.
    archive.keep_outbox().await?;
    Ok((archive, name))
}

async fn rate(server: &PostgresServer, records: usize, batch: usize, bytes: usize) -> Outcome {
    for committers in 1..=3_usize {
        let (archive, name) = open(server).await?;
        let archive = Arc::new(archive);
        let mut committing = JoinSet::new();
        let batches = records.div_ceil(batch).div_ceil(committers);
        // Made beforehand: what is measured is the archive, not the making of words.
        let mut work = Vec::new();
        for seed in 0..committers {
            let mut words = Words::new(seed as u64 + 1);
            let made = (0..batches)
                .map(|_| (0..batch).map(|_| Commit { record: call(&mut words, bytes) }).collect::<Vec<_>>());
            work.push(made.collect::<Vec<_>>());
        }
        let began = Instant::now();
        for batches in work {
            let archive = Arc::clone(&archive);
            committing.spawn(async move {
                for batch in batches {
                    archive.commit(batch).await?;
                }
                Ok::<_, PortError>(())
            });
        }
        while let Some(done) = committing.join_next().await {
            done??;
        }
        let seconds = began.elapsed().as_secs_f64();
        let total = (batches * batch * committers) as f64;
        let health = archive.health().await?;
        println!(
            "{committers} committers, batches of {batch}, {bytes} B a body: {:8.0} records/s; kept {:.0} B a record",
            total / seconds,
            health.bytes as f64 / total
        );
        archive.close().await;
        server.sql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
    }
    Ok(())
}

async fn lists(server: &PostgresServer, records: u32) -> Outcome {
    let (archive, name) = open(server).await?;
    let now = SystemClock.now();
    measure::fill(&archive, now, records).await?;
    archive.maintain().await?;
    server.sql(&name, "VACUUM ANALYZE");
    let health = archive.health().await?;
    println!("{records} records, {} MB, {} outbox entries", health.bytes >> 20, health.outbox);
    measure::lists(&archive, now, records, |line| println!("{line}")).await?;
    archive.close().await;
    Ok(())
}
