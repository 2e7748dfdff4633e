//! The archive on SQLite files: one file of records, with their sums, outbox and open exchanges, and one file of
//! content-addressed blocks a week, with the bodies.
//!
//! Knows no dialect and no gateway: it keeps what it is given, byte for byte.
//!
//! # Files
//! - `records.db`: what is listed and shown. Written by one thread, a transaction for each group of commits.
//! - `blocks-<week>-<part>.db`: bodies, cut into blocks that are stored once for each tenant. Retention deletes whole
//!   files.
//!
//! Blocks are durable before a record refers to them, so a crash between the two leaves blocks that nobody refers to
//! and never the other way round.

mod backup;
mod bodies;
mod commit;
mod control;
mod list;
mod records;
mod retention;
mod stats;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use rusqlite::Connection;
use verbatim_archive_format::encoding::{Heads, decode_heads};
use verbatim_archive_format::record::BODIES_DELETED;
use verbatim_archive_format::squeeze::Squeezers;
use verbatim_core::model::query::Filter;
use verbatim_core::model::{
    Exchange, ExchangeHeads, ExchangeId, ExchangeRecord, Leg, LegBody, ModelStats, Rank, Stats, Timestamp,
};
use verbatim_core::ports::{
    Archive, ArchiveHealth, Clock, Commit, Committed, Deleted, Erased, ListRequest, OpenExchange,
    OutboxEntry, Page, PortError, PortResult, Retention, Sequence, StatsRequest,
};
use verbatim_sqlite::Options;

use bodies::{Buckets, read_body};
use records::outbox::Claims;
use records::{Records, open_exchanges, outbox, state};

/// Bodies are read side by side by so many.
const BODY_READS: usize = 4;

/// The archive on SQLite files in one directory, which one process may have open at a time.
pub struct SqliteArchive {
    engine: Arc<Engine>,
}

/// What all parts of the archive share.
struct Engine {
    directory: PathBuf,
    records: Records,
    buckets: Buckets,
    claims: Claims,
    squeezers: Squeezers,
    clock: Arc<dyn Clock>,
    /// Held shared while records that refer to blocks are written, exclusively while files of blocks are deleted.
    buckets_kept: RwLock<()>,
    /// Bodies may be large: only so many are in memory at a time.
    body_reads: tokio::sync::Semaphore,
    /// Retention and backup take turns.
    maintenance: tokio::sync::Mutex<()>,
}

impl SqliteArchive {
    /// Opens the archive in `directory`, creating it where there is none. Blocks its thread for some milliseconds.
    ///
    /// # Errors
    /// [`PortError::Permanent`] where the directory can't be made or written, or a file's schema is newer than this
    /// program's; [`PortError::Conflict`] where another process holds a file locked.
    pub fn open(directory: &Path, clock: Arc<dyn Clock>) -> PortResult<Self> {
        fs::create_dir_all(directory).map_err(|error| {
            PortError::permanent(format_args!("could not make the directory {}", directory.display()), error)
        })?;
        let of_records = Options { shrinkable: true, ..Options::default() };
        let records = Records::open(directory, &of_records)?;
        let floor = records.readers.run_blocking(state::bodies_floor)?;
        // Blocks fill pages to their end but for the last, and the entries of their index are spread: small pages waste
        // and write least.
        let of_blocks = Options { page_bytes: 1024, cache_bytes: 4 << 20, ..Options::default() };
        let engine = Engine {
            directory: directory.to_owned(),
            buckets: Buckets::new(directory, of_blocks, floor)?,
            records,
            claims: Claims::default(),
            squeezers: Squeezers::default(),
            clock,
            buckets_kept: RwLock::default(),
            body_reads: tokio::sync::Semaphore::new(BODY_READS),
            maintenance: tokio::sync::Mutex::default(),
        };
        Ok(Self { engine: Arc::new(engine) })
    }

    /// Finishes what was handed in, writes the write-ahead logs back and closes the files. Whatever comes later fails.
    pub async fn close(&self) {
        self.engine.records.writer.close().await;
        self.engine.records.readers.close_idle();
        // Nothing is left to do where the runtime is shutting down.
        let _ = self
            .engine
            .blocking(|engine| {
                engine.buckets.close();
                Ok(())
            })
            .await;
    }
}

impl Engine {
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

    fn keep_buckets(&self) -> RwLockReadGuard<'_, ()> {
        self.buckets_kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_buckets(&self) -> RwLockWriteGuard<'_, ()> {
        self.buckets_kept.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record, from wherever it is.
    async fn find(self: &Arc<Self>, id: ExchangeId) -> PortResult<Option<(Exchange, Heads)>> {
        let engine = Arc::clone(self);
        let found = self.records.readers.run(move |connection| engine.look_up(connection, id));
        found.await
    }

    fn look_up(&self, connection: &Connection, id: ExchangeId) -> PortResult<Option<(Exchange, Heads)>> {
        let Some((exchange, packed)) = records::find(connection, id)? else { return Ok(None) };
        let damaged =
            |error| PortError::permanent(format_args!("the heads of exchange {id} are damaged"), error);
        let unpacked = self.squeezers.with(|squeezer| squeezer.unpack_heads(&packed).map_err(damaged))?;
        let mut found = decode_heads(&unpacked).map_err(damaged)?;
        if !found.bodies.is_empty() && self.buckets.is_deleted(found.bucket) {
            found.heads.notes.push(BODIES_DELETED.to_owned());
        }
        Ok(Some((exchange, found)))
    }

    /// A whole record, but for the bodies that can't be read.
    fn read_whole(&self, id: ExchangeId, exchange: Exchange, found: Heads) -> PortResult<ExchangeRecord> {
        let Heads { bodies: stored, mut heads, bucket } = found;
        let mut bodies = Vec::with_capacity(stored.len());
        for body in stored {
            match read_body(&self.buckets, &self.squeezers, id, bucket, body) {
                Ok(body) => bodies.extend(body),
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    tracing::error!(exchange = %id, %error, "a body can't be read");
                    heads.notes.push(error.to_string());
                }
            }
        }
        Ok(ExchangeRecord { exchange, heads, bodies })
    }

    /// As [`Archive::read_many`] promises. Blocks its thread.
    fn read_many(
        &self,
        connection: &Connection,
        ids: &[ExchangeId],
        bytes: u64,
    ) -> PortResult<Vec<PortResult<Option<ExchangeRecord>>>> {
        let (mut records, mut room) = (Vec::with_capacity(ids.len()), bytes);
        for &id in ids {
            let (exchange, found) = match self.look_up(connection, id) {
                Ok(Some(found)) => found,
                Err(error) if error.is_transient() => return Err(error),
                other => {
                    records.push(other.map(|_| None));
                    continue;
                }
            };
            let stored: u64 = found.bodies.iter().map(|body| body.info.stored).sum();
            if stored > room && !records.is_empty() {
                break;
            }
            room = room.saturating_sub(stored);
            records.push(Ok(Some(self.read_whole(id, exchange, found)?)));
        }
        Ok(records)
    }
}

/// Makes names of files in a directory durable.
fn sync_directory(directory: &Path) -> PortResult<()> {
    fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| PortError::transient(format_args!("could not sync {}", directory.display()), error))
}

#[async_trait]
impl Archive for SqliteArchive {
    async fn commit(&self, batch: Vec<Commit>) -> PortResult<Vec<Committed>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.engine.blocking(|engine| engine.commit(batch)).await
    }

    async fn ranks(&self, ids: &[ExchangeId]) -> PortResult<Vec<Option<Rank>>> {
        let ids = ids.to_vec();
        self.engine.records.readers.run(move |connection| records::ranks(connection, &ids)).await
    }

    async fn open(&self, exchanges: &[OpenExchange], advance: bool) -> PortResult<()> {
        let exchanges = exchanges.to_vec();
        let writer = &self.engine.records.writer;
        writer.run(move |connection| open_exchanges::open(connection, &exchanges, advance)).await
    }

    async fn abandon(&self, ids: &[ExchangeId]) -> PortResult<()> {
        let ids = ids.to_vec();
        let writer = &self.engine.records.writer;
        writer
            .run(move |connection| ids.iter().try_for_each(|&id| open_exchanges::close(connection, id)))
            .await
    }

    async fn open_exchanges(&self, after: Option<ExchangeId>, limit: usize) -> PortResult<Vec<OpenExchange>> {
        self.engine
            .records
            .readers
            .run(move |connection| open_exchanges::list(connection, after, limit))
            .await
    }

    async fn oldest_open_sequence(&self) -> PortResult<Option<Sequence>> {
        self.engine.records.readers.run(open_exchanges::oldest_sequence).await
    }

    async fn get(&self, id: ExchangeId) -> PortResult<Option<(Exchange, ExchangeHeads)>> {
        let found = self.engine.find(id).await?;
        Ok(found.map(|(exchange, stored)| (exchange, stored.heads)))
    }

    async fn get_many(&self, ids: &[ExchangeId]) -> PortResult<Vec<Exchange>> {
        let ids = ids.to_vec();
        let readers = &self.engine.records.readers;
        readers
            .run(move |connection| list::get_many(connection, ids.iter().map(|id| &id.as_bytes()[..])))
            .await
    }

    async fn body(&self, id: ExchangeId, leg: Leg) -> PortResult<Option<LegBody>> {
        let Some((_, stored)) = self.engine.find(id).await? else { return Ok(None) };
        let Some(body) = stored.bodies.into_iter().find(|body| body.info.leg == leg) else { return Ok(None) };
        let _turn = self.engine.body_reads.acquire().await;
        let read =
            move |engine: &Engine| read_body(&engine.buckets, &engine.squeezers, id, stored.bucket, body);
        self.engine.blocking(read).await
    }

    async fn read_many(
        &self,
        ids: &[ExchangeId],
        bytes: u64,
    ) -> PortResult<Vec<PortResult<Option<ExchangeRecord>>>> {
        let (engine, ids) = (Arc::clone(&self.engine), ids.to_vec());
        let _turn = self.engine.body_reads.acquire().await;
        self.engine.records.readers.run(move |connection| engine.read_many(connection, &ids, bytes)).await
    }

    async fn ids(&self, after: Option<ExchangeId>, limit: usize) -> PortResult<Vec<ExchangeId>> {
        self.engine.records.readers.run(move |connection| records::ids(connection, after, limit)).await
    }

    async fn list(&self, request: ListRequest) -> PortResult<Page> {
        self.engine.records.readers.run(move |connection| list::list(connection, &request)).await
    }

    async fn count(&self, filters: &[Filter], limit: u64) -> PortResult<u64> {
        let filters = filters.to_vec();
        self.engine.records.readers.run(move |connection| list::count(connection, &filters, limit)).await
    }

    async fn stats(&self, request: StatsRequest) -> PortResult<Stats> {
        self.engine.records.readers.run(move |connection| stats::stats(connection, &request)).await
    }

    async fn model_stats(&self, range: Range<Timestamp>) -> PortResult<Vec<ModelStats>> {
        self.engine.records.readers.run(move |connection| stats::model_stats(connection, &range)).await
    }

    /// Entries are made in any case: whoever has such an archive has a search index.
    async fn keep_outbox(&self) -> PortResult<bool> {
        Ok(false)
    }

    async fn claim_outbox(&self, limit: usize) -> PortResult<Vec<OutboxEntry>> {
        self.engine.claims.claim(&self.engine.records, limit).await
    }

    async fn settle_outbox(&self, numbers: &[u64]) -> PortResult<()> {
        let numbers = numbers.to_vec();
        self.engine.records.writer.run(move |connection| outbox::settle(connection, &numbers)).await
    }

    async fn note_outbox(&self, ids: &[ExchangeId]) -> PortResult<()> {
        let (ids, numbers) = (ids.to_vec(), Arc::clone(&self.engine.records.numbers));
        self.engine.records.writer.run(move |connection| outbox::note(connection, &numbers, &ids)).await
    }

    async fn release_outbox(&self, numbers: &[u64]) -> PortResult<()> {
        self.engine.claims.release(&self.engine.records, numbers).await
    }

    async fn set_aside_outbox(&self, number: u64, reason: &str) -> PortResult<()> {
        let reason = reason.to_owned();
        self.engine.records.writer.run(move |connection| outbox::set_aside(connection, number, &reason)).await
    }

    async fn refill_outbox(&self) -> PortResult<u64> {
        outbox::refill(&self.engine.records).await
    }

    async fn enforce(&self, retention: Retention, now: Timestamp) -> PortResult<Erased> {
        self.engine.enforce(retention, now).await
    }

    async fn deleted(&self) -> PortResult<Deleted> {
        self.engine.records.readers.run(records::deleted).await
    }

    async fn backup(&self, directory: &Path) -> PortResult<()> {
        self.engine.backup(directory).await
    }

    async fn health(&self) -> PortResult<ArchiveHealth> {
        let bytes = self.engine.bytes();
        let health = self.engine.records.readers.run(records::health).await?;
        Ok(ArchiveHealth { bytes, ..health })
    }
}
