//! What only a server that many share can suffer: kills, races, partitions that go, other schemas, other sessions.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod faults;
mod hostile;
mod keeping;
mod mended;
mod plans;
mod races;
mod refusals;
mod retention;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use verbatim_archive_postgres::{PostgresArchive, PostgresConfig, migrate};
use verbatim_core::model::{ExchangeId, ExchangeRecord};
use verbatim_core::ports::{Archive, Commit, Committed, PortResult, SystemClock};
use verbatim_testkit::postgres::PostgresServer;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A new database on a server, its schema brought up to date.
async fn database(server: &PostgresServer) -> (String, PostgresConfig) {
    let name = server.create_database();
    let config = PostgresConfig { patience: Duration::ZERO, ..PostgresConfig::new(server.url(&name)) };
    migrate(&config).await.unwrap();
    (name, config)
}

async fn connect(config: &PostgresConfig) -> Arc<PostgresArchive> {
    Arc::new(PostgresArchive::connect(config, Arc::new(SystemClock)).await.unwrap())
}

async fn try_commit(archive: &PostgresArchive, records: &[ExchangeRecord]) -> PortResult<Vec<Committed>> {
    archive.commit(records.iter().cloned().map(|record| Commit { record }).collect()).await
}

async fn store(archive: &PostgresArchive, records: &[ExchangeRecord]) {
    for committed in try_commit(archive, records).await.unwrap() {
        assert!(matches!(committed, Committed::Stored), "{committed:?}");
    }
}

fn ids(records: &[ExchangeRecord]) -> Vec<ExchangeId> {
    records.iter().map(|record| record.exchange.id).collect()
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Asks again until it is so; a test that waits in vain is ended by whoever runs it.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    while !is_so().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
