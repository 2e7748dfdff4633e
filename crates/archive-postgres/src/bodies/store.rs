//! Blocks and pieces, written and looked up.

use std::collections::BTreeMap;
use std::ops::Range;

use deadpool_postgres::{Object, Transaction};
use tokio::sync::Mutex;
use uuid::Uuid;
use verbatim_archive_format::bucket::Bucket;
use verbatim_archive_format::chunking::Address;
use verbatim_archive_format::stage::{NewBlock, Place};

use crate::error::{Doing, Fault};
use crate::pool::Connections;
use crate::tombstone::{bucket_of, number_of};

/// So many bytes of blocks go in one statement: a connection holds it twice on its way, and keeps that room.
const AT_ONCE: usize = 1 << 20;
/// So many numbers come from the sequence at a time: its increment.
const NUMBERS: i64 = 1024;

/// Numbers of blocks that nobody else has. They rise, with gaps.
#[derive(Default)]
pub(crate) struct BlockNumbers {
    free: Mutex<Range<i64>>,
}

impl BlockNumbers {
    /// So many.
    pub(crate) async fn take(&self, count: usize, writes: &Connections) -> Result<Vec<i64>, Fault> {
        let mut free = self.free.lock().await;
        let mut taken: Vec<i64> = free.by_ref().take(count).collect();
        if taken.len() < count {
            let ranges = (count - taken.len()).div_ceil(usize::try_from(NUMBERS).unwrap_or(usize::MAX));
            let ranges = i64::try_from(ranges).unwrap_or(i64::MAX);
            let next = async |client: Object| {
                let sql = "SELECT nextval('block_number') FROM generate_series(1, $1::bigint)";
                let statement = client.prepare_cached(sql).await.doing("number blocks")?;
                let rows = client.query(&statement, &[&ranges]).await.doing("number blocks")?;
                Ok(rows.iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>())
            };
            for first in writes.run(next).await? {
                *free = first..first + NUMBERS;
                taken.extend(free.by_ref().take(count - taken.len()));
            }
        }
        Ok(taken)
    }

    /// Leaves the numbers that are left, which others may have.
    pub(crate) async fn forget(&self) {
        *self.free.lock().await = 0..0;
    }
}

/// Blocks of a batch, with their numbers.
#[derive(Debug, Default)]
pub(crate) struct NewBlocks {
    blocks: Vec<(Bucket, i64, NewBlock)>,
}

impl NewBlocks {
    pub(crate) fn new(blocks: Vec<(Bucket, i64, NewBlock)>) -> Self {
        Self { blocks }
    }

    /// The buckets that they go to, each once or more.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = Bucket> {
        self.blocks.iter().map(|(bucket, _, _)| *bucket)
    }

    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> usize {
        self.blocks.iter().map(|(_, _, block)| block.data.len()).sum()
    }

    /// In groups of so many bytes.
    fn groups(&self) -> Vec<&[(Bucket, i64, NewBlock)]> {
        let mut bytes = 0;
        let fits = |(_, _, block): &(Bucket, i64, NewBlock), _: &(Bucket, i64, NewBlock)| {
            bytes += block.data.len();
            let fits = bytes < AT_ONCE;
            if !fits {
                bytes = 0;
            }
            fits
        };
        self.blocks.chunk_by(fits).collect()
    }
}

/// Stores blocks, and where their pieces are.
pub(crate) async fn insert_blocks(transaction: &Transaction<'_>, new: &NewBlocks) -> Result<(), Fault> {
    const DOING: &str = "store blocks";
    if new.blocks.is_empty() {
        return Ok(());
    }
    // A batch comes again under the same numbers where the answer to its commit was lost.
    let sql = "INSERT INTO block (bucket, number, data) \
               SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) ON CONFLICT DO NOTHING";
    let statement = transaction.prepare_cached(sql).await.doing(DOING)?;
    for group in new.groups() {
        let buckets: Vec<i64> = group.iter().map(|(bucket, _, _)| number_of(*bucket)).collect();
        let numbers: Vec<i64> = group.iter().map(|(_, number, _)| *number).collect();
        let data: Vec<&[u8]> = group.iter().map(|(_, _, block)| block.data.as_slice()).collect();
        let stored = transaction.execute(&statement, &[&buckets, &numbers, &data]).await.doing(DOING)?;
        if stored < group.len() as u64 {
            refuse_others(transaction, &buckets, &numbers, &data).await?;
        }
    }
    // In one statement and sorted, so that two writers who bring the same pieces don't wait for each other in a circle.
    let mut pieces = BTreeMap::new();
    for (bucket, number, block) in &new.blocks {
        for (address, start) in &block.pieces {
            pieces
                .entry((number_of(*bucket), Uuid::from_bytes(*address)))
                .or_insert((*number, start.cast_signed()));
        }
    }
    if pieces.is_empty() {
        return Ok(());
    }
    let (buckets, addresses): (Vec<i64>, Vec<Uuid>) = pieces.keys().copied().unzip();
    let (blocks, starts): (Vec<i64>, Vec<i32>) = pieces.values().copied().unzip();
    // Another writer may have stored a piece since this one looked: the first stays the one to be found.
    let sql = "INSERT INTO piece (bucket, address, block, start) \
               SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::integer[]) ON CONFLICT DO NOTHING";
    let statement = transaction.prepare_cached(sql).await.doing(DOING)?;
    transaction.execute(&statement, &[&buckets, &addresses, &blocks, &starts]).await.doing(DOING)?;
    Ok(())
}

/// Refuses to take blocks for stored whose numbers are those of other ones: records would show bodies of somebody else.
async fn refuse_others(
    transaction: &Transaction<'_>,
    buckets: &[i64],
    numbers: &[i64],
    data: &[&[u8]],
) -> Result<(), Fault> {
    const DOING: &str = "compare blocks";
    let sql = "SELECT count(*)
               FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS w (bucket, number, data)
               JOIN block AS b ON b.bucket = w.bucket AND b.number = w.number
               WHERE b.data <> w.data";
    let statement = transaction.prepare_cached(sql).await.doing(DOING)?;
    let row = transaction.query_one(&statement, &[&buckets, &numbers, &data]).await.doing(DOING)?;
    match row.get::<_, i64>(0) {
        0 => Ok(()),
        others => Err(Fault::mendable(format!(
            "{others} blocks can't be stored: PostgreSQL has others under their numbers, so its sequence block_number \
             was set back, as by a restore that left sequences out; run `SELECT setval('block_number', max(number) + 1) \
             FROM block` in this database, and writing goes on by itself"
        ))),
    }
}

/// Where those pieces are that are there.
pub(crate) async fn known(
    client: &Object,
    pieces: &[(Bucket, Address)],
) -> Result<Vec<(Bucket, Address, Place)>, Fault> {
    const DOING: &str = "look for pieces of bodies";
    let buckets: Vec<i64> = pieces.iter().map(|(bucket, _)| number_of(*bucket)).collect();
    let addresses: Vec<Uuid> = pieces.iter().map(|(_, address)| Uuid::from_bytes(*address)).collect();
    let sql = "SELECT p.bucket, p.address, p.block, p.start
               FROM unnest($1::bigint[], $2::uuid[]) AS w (bucket, address)
               JOIN piece AS p ON p.bucket = w.bucket AND p.address = w.address";
    let statement = client.prepare_cached(sql).await.doing(DOING)?;
    let rows = client.query(&statement, &[&buckets, &addresses]).await.doing(DOING)?;
    let place = |row: &tokio_postgres::Row| {
        let place = Place { block: row.get(2), start: row.get::<_, i32>(3).cast_unsigned() };
        (bucket_of(row.get(0)), row.get::<_, Uuid>(1).into_bytes(), place)
    };
    Ok(rows.iter().map(place).collect())
}
