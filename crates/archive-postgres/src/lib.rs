//! The archive on PostgreSQL, 15 and newer: records partitioned by day, content-addressed bodies by week, with sums,
//! outbox and open exchanges.
//!
//! Knows no dialect and no gateway: it keeps what it is given, byte for byte. The module tree is that of the archive on
//! SQLite; what both do alike is in `archive-format`.
//!
//! [`migrate`] brings the schema up to date, and nothing else does: [`PostgresArchive::connect`] refuses another one.
//!
//! Who connects is told at once what somebody has to mend (credentials, privileges, database, schema). In an archive that is
//! open the same is transient: what is to be stored waits elsewhere, and can go on waiting until it is mended.

mod bodies;
mod commit;
mod config;
mod control;
mod day;
mod error;
mod filter;
mod list;
mod locks;
mod partitions;
mod pool;
mod read;
mod records;
mod retention;
mod schema;
mod server;
mod stats;
mod tls;
mod tombstone;
mod upkeep;

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use deadpool_postgres::Object;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use verbatim_archive_format::squeeze::Squeezers;
use verbatim_core::model::query::Filter;
use verbatim_core::model::{
    Exchange, ExchangeHeads, ExchangeId, ExchangeRecord, Leg, LegBody, ModelStats, Rank, Stats, Timestamp,
};
use verbatim_core::ports::{
    Archive, ArchiveHealth, Clock, Commit, Committed, Deleted, Erased, ListRequest, OpenExchange,
    OutboxEntry, Page, PortError, PortResult, Retention, Sequence, StatsRequest,
};

use bodies::BlockNumbers;
use day::uuid;
use error::{Doing, Fault};
use partitions::Partitions;
use pool::Database;
use records::outbox::Claimant;
use records::{find, open_exchanges, outbox, totals};
use tombstone::{Tombstone, number_of};

pub use config::{PostgresConfig, TlsConfig};
pub use schema::{Migrated, migrate};
pub use server::Server;

/// Bodies are read side by side by so many.
const BODY_READS: usize = 4;

/// The archive in one PostgreSQL database. Any number of processes may have it open, each for anything.
pub struct PostgresArchive {
    engine: Arc<Engine>,
    /// The upkeep, until closed or dropped.
    tasks: Mutex<JoinSet<()>>,
    token: CancellationToken,
}

/// What all parts of the archive share.
struct Engine {
    database: Database,
    partitions: Partitions,
    claimant: Claimant,
    block_numbers: BlockNumbers,
    squeezers: Squeezers,
    clock: Arc<dyn Clock>,
    /// Bodies may be large: only so many are in memory at a time.
    body_reads: tokio::sync::Semaphore,
    outbox_patience: Duration,
    /// One pass of retention at a time.
    maintenance: tokio::sync::Mutex<()>,
}

impl PostgresArchive {
    /// Connects, checks the schema, and makes the partitions for the next days.
    ///
    /// # Errors
    /// [`PortError::Transient`] where the database could not be reached within the configured patience;
    /// [`PortError::Permanent`], with what to do, where it refuses us, is too old, or its schema is not the one that
    /// this program needs.
    pub async fn connect(config: &PostgresConfig, clock: Arc<dyn Clock>) -> PortResult<Self> {
        let archive = Self::connect_to_look(config, clock).await?;
        archive.start(config).await?;
        Ok(archive)
    }

    /// Connects and checks the schema, and changes nothing: for whoever looks on, and leaves the upkeep to others.
    ///
    /// # Errors
    /// As of [`connect`](Self::connect).
    pub async fn connect_to_look(config: &PostgresConfig, clock: Arc<dyn Clock>) -> PortResult<Self> {
        let engine = Arc::new(Engine {
            database: Database::new(config)?,
            partitions: Partitions::new(),
            claimant: Claimant::default(),
            block_numbers: BlockNumbers::default(),
            squeezers: Squeezers::default(),
            clock,
            body_reads: tokio::sync::Semaphore::new(BODY_READS),
            outbox_patience: config.outbox_patience,
            maintenance: tokio::sync::Mutex::default(),
        });
        patiently(config, || async { engine.look().await.map_err(Fault::at_start) }).await?;
        Ok(Self { engine, tasks: Mutex::default(), token: CancellationToken::new() })
    }

    /// Makes the partitions for the next days, and sees to the upkeep from now on.
    async fn start(&self, config: &PostgresConfig) -> PortResult<()> {
        patiently(config, || async { self.engine.make_ahead().await.map_err(Fault::at_start) }).await?;
        let upkeep = upkeep::run(Arc::clone(&self.engine), config.upkeep_every, self.token.clone());
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(upkeep);
        Ok(())
    }

    /// Where the database is, for people: without user and password.
    pub fn address(&self) -> &str {
        &self.engine.database.address
    }

    /// Folds what was noted into sums, makes partitions for the next days, and drops an outbox that nobody reads; done now
    /// and then by itself.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn maintain(&self) -> PortResult<()> {
        Ok(self.engine.maintain().await?)
    }

    /// Ends the upkeep, hands back what was claimed, and closes the connections. Whatever comes later fails.
    pub async fn close(&self) {
        self.token.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
        self.engine.claimant.end().await;
        self.engine.database.close();
    }
}

/// Tries for as long as configured, where waiting can help.
async fn patiently<F>(config: &PostgresConfig, attempt: impl FnMut() -> F) -> PortResult<()>
where
    F: Future<Output = PortResult<()>>,
{
    let waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(2))
        .with_total_delay(Some(config.patience))
        .without_max_times()
        .with_jitter();
    let trying = attempt.retry(waits).when(PortError::is_transient);
    trying.notify(|error, _| tracing::warn!(%error, "waiting for the archive")).await
}

impl Engine {
    /// Whether the database can be used as it is, and which partitions it has.
    async fn look(&self) -> Result<(), Fault> {
        let upkeep = &self.database.upkeep;
        upkeep.once(async |client: Object| schema::check(&client, &self.database.address).await).await?;
        upkeep.once(async |client: Object| self.partitions.look(&client).await).await
    }

    async fn make_ahead(&self) -> Result<(), Fault> {
        self.partitions.make_ahead(&self.database.upkeep, self.clock.now()).await
    }

    /// Runs `work` on a thread that may block.
    async fn blocking<T, F>(self: &Arc<Self>, work: F) -> PortResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> PortResult<T> + Send + 'static,
    {
        let engine = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&engine)).await;
        done.map_err(|error| PortError::transient("the archive was broken off", error))?
    }

    async fn health(&self) -> Result<ArchiveHealth, Fault> {
        let counts = "SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM outbox_failed), \
                      (SELECT count(*) FROM open_exchange)";
        let measure = async |client: Object| {
            let (exchanges, captured_bytes) = totals::all(&client).await?;
            let row = client.query_one(counts, &[]).await.doing("count what waits")?;
            let count = |column| row.get::<_, i64>(column).unsigned_abs();
            let bytes = retention::bytes(&client).await?;
            let (outbox, outbox_failed, open) = (count(0), count(1), count(2));
            Ok(ArchiveHealth { exchanges, bytes, outbox, outbox_failed, open, captured_bytes })
        };
        self.database.reads.run(measure).await
    }
}

#[async_trait]
impl Archive for PostgresArchive {
    async fn commit(&self, batch: Vec<Commit>) -> PortResult<Vec<Committed>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.engine.commit(batch).await
    }

    async fn ranks(&self, ids: &[ExchangeId]) -> PortResult<Vec<Option<Rank>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.engine.database.reads.run(async |client: Object| find::ranks(&client, ids).await).await?)
    }

    async fn open(&self, exchanges: &[OpenExchange], advance: bool) -> PortResult<()> {
        if exchanges.is_empty() {
            return Ok(());
        }
        let writes = &self.engine.database.writes;
        Ok(writes.run(|client: Object| open_exchanges::open(client, exchanges, advance)).await?)
    }

    async fn abandon(&self, ids: &[ExchangeId]) -> PortResult<()> {
        let ids: Vec<_> = ids.iter().copied().map(uuid).collect();
        let writes = &self.engine.database.writes;
        Ok(writes.run(async |client: Object| open_exchanges::close(&client, &ids).await).await?)
    }

    async fn open_exchanges(&self, after: Option<ExchangeId>, limit: usize) -> PortResult<Vec<OpenExchange>> {
        let reads = &self.engine.database.reads;
        Ok(reads.run(|client: Object| open_exchanges::list(client, after, limit)).await?)
    }

    async fn oldest_open_sequence(&self) -> PortResult<Option<Sequence>> {
        Ok(self.engine.database.reads.run(open_exchanges::oldest_sequence).await?)
    }

    async fn get(&self, id: ExchangeId) -> PortResult<Option<(Exchange, ExchangeHeads)>> {
        self.engine.get(id).await
    }

    async fn get_many(&self, ids: &[ExchangeId]) -> PortResult<Vec<Exchange>> {
        let ids: Vec<_> = ids.iter().copied().map(uuid).collect();
        Ok(self.engine.database.reads.run(async |client: Object| find::get_many(&client, &ids).await).await?)
    }

    async fn body(&self, id: ExchangeId, leg: Leg) -> PortResult<Option<LegBody>> {
        self.engine.body(id, leg).await
    }

    async fn read_many(
        &self,
        ids: &[ExchangeId],
        bytes: u64,
    ) -> PortResult<Vec<PortResult<Option<ExchangeRecord>>>> {
        self.engine.read_many(ids, bytes).await
    }

    async fn ids(&self, after: Option<ExchangeId>, limit: usize) -> PortResult<Vec<ExchangeId>> {
        Ok(self.engine.database.reads.run(|client: Object| find::ids(client, after, limit)).await?)
    }

    async fn list(&self, request: ListRequest) -> PortResult<Page> {
        Ok(self.engine.database.reads.run(|client: Object| list::list(client, &request)).await?)
    }

    async fn count(&self, filters: &[Filter], limit: u64) -> PortResult<u64> {
        Ok(self.engine.database.reads.run(|client: Object| list::count(client, filters, limit)).await?)
    }

    async fn stats(&self, request: StatsRequest) -> PortResult<Stats> {
        Ok(self.engine.database.reads.run(|client: Object| stats::stats(client, &request)).await?)
    }

    async fn model_stats(&self, range: Range<Timestamp>) -> PortResult<Vec<ModelStats>> {
        Ok(self.engine.database.reads.run(|client: Object| stats::model_stats(client, &range)).await?)
    }

    async fn keep_outbox(&self) -> PortResult<bool> {
        Ok(self.engine.claimant.keep(&self.engine.database.writes).await?)
    }

    async fn claim_outbox(&self, limit: usize) -> PortResult<Vec<OutboxEntry>> {
        Ok(self.engine.claimant.claim(&self.engine.database.writes, limit).await?)
    }

    async fn settle_outbox(&self, numbers: &[u64]) -> PortResult<()> {
        Ok(self.engine.database.writes.run(|client: Object| outbox::settle(client, numbers)).await?)
    }

    async fn note_outbox(&self, ids: &[ExchangeId]) -> PortResult<()> {
        Ok(self.engine.database.writes.run(|client: Object| outbox::note(client, ids)).await?)
    }

    async fn release_outbox(&self, numbers: &[u64]) -> PortResult<()> {
        Ok(self.engine.database.writes.run(|client: Object| outbox::release(client, numbers)).await?)
    }

    async fn set_aside_outbox(&self, number: u64, reason: &str) -> PortResult<()> {
        let writes = &self.engine.database.writes;
        Ok(writes.run(|client: Object| outbox::set_aside(client, number, reason)).await?)
    }

    async fn refill_outbox(&self) -> PortResult<u64> {
        Ok(self.engine.database.upkeep.once(outbox::refill).await?)
    }

    async fn enforce(&self, retention: Retention, now: Timestamp) -> PortResult<Erased> {
        Ok(self.engine.enforce(retention, now).await?)
    }

    async fn deleted(&self) -> PortResult<Deleted> {
        let read = async |client: Object| Tombstone::read(&client).await;
        let tombstone = self.engine.database.reads.run(read).await?;
        let bodies = number_of(tombstone.bodies_below).unsigned_abs();
        Ok(Deleted { records_through: tombstone.erased_through, bodies })
    }

    async fn backup(&self, _directory: &Path) -> PortResult<()> {
        Err(PortError::Permanent(format!(
            "the archive in PostgreSQL at {} is backed up with PostgreSQL's own tools: `pg_dump --format=directory` \
             for a copy of this database, `pg_basebackup` and archived write-ahead logs for the whole server",
            self.address()
        )))
    }

    async fn health(&self) -> PortResult<ArchiveHealth> {
        Ok(self.engine.health().await?)
    }
}
