//! Writing records, and what follows from them, in one transaction.

use std::collections::HashMap;

use deadpool_postgres::{Object, Transaction};
use futures_util::future::{join, join3};
use tokio_postgres::types::ToSql;
use uuid::Uuid;
use verbatim_archive_format::bucket::Bucket;
use verbatim_archive_format::record::PackedRecord;
use verbatim_archive_format::sums::{Changes, Counted};
use verbatim_archive_format::text::{int, unsigned};
use verbatim_core::model::{ExchangeId, Rank, Timestamp};

use super::columns::{Columns, Table, parameters, references};
use super::totals::Totals;
use super::{open_exchanges, rollup};
use crate::bodies::{NewBlocks, insert_blocks};
use crate::day::{day_of, uuid};
use crate::error::{Doing, Fault, Kind};
use crate::locks;
use crate::tombstone::Tombstone;

/// A record whose bodies are blocks.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) record: PackedRecord,
    pub(crate) table: Table,
    /// Whether its bodies are in its bucket, which must be there.
    pub(crate) has_blocks: bool,
}

impl Row {
    fn id(&self) -> ExchangeId {
        self.record.exchange.id
    }
}

/// Blocks and records that belong together. The records are sorted by id.
pub(crate) struct Batch<'a> {
    pub(crate) blocks: &'a NewBlocks,
    pub(crate) rows: &'a [Row],
}

impl Batch<'_> {
    /// The weeks that it writes to.
    fn weeks(&self) -> Vec<i32> {
        let of_row = |row: &Row| {
            let of_record = (row.table == Table::Exchange).then(|| Bucket::week_of(row.id().time()));
            of_record.into_iter().chain([row.record.bucket.week])
        };
        let mut weeks: Vec<i32> = self.rows.iter().flat_map(of_row).map(u32::cast_signed).collect();
        weeks.extend(self.blocks.buckets().map(|bucket| bucket.week.cast_signed()));
        weeks.sort_unstable();
        weeks.dedup();
        weeks
    }
}

/// Which of the rows were stored; the others were superseded.
pub(crate) async fn store(mut client: Object, batch: &Batch<'_>) -> Result<Vec<bool>, Fault> {
    const DOING: &str = "store records";
    let transaction = client.transaction().await.doing(DOING)?;
    let look = format!("SELECT {}, s.kept FROM tombstone AS t, outbox_state AS s", Tombstone::COLUMNS);
    let look = transaction.prepare_cached(&look).await.doing(DOING)?;
    let (classes, numbers) = locks::to_write(&batch.weeks());
    let lock = transaction.prepare_cached(locks::TAKE_SHARED).await.doing(DOING)?;
    let locks: [&(dyn ToSql + Sync); 2] = [&classes, &numbers];
    // Sent one after the other without waiting; the second sees what the first waited for.
    let (locked, looked) = join(transaction.query(&lock, &locks), transaction.query_one(&look, &[])).await;
    locked.doing(DOING)?;
    let looked = looked.doing(DOING)?;
    let (tombstone, is_kept) = (Tombstone::of_row(&looked), looked.get(2));
    let erased_since =
        batch.rows.iter().any(|row| row.has_blocks && row.record.bucket < tombstone.bodies_below);
    if erased_since || batch.blocks.buckets().any(|bucket| bucket < tombstone.bodies_below) {
        let why = "bodies of that time were deleted just now: try again";
        return Err(Fault { kind: Kind::Stale, why: why.to_owned() });
    }
    insert_blocks(&transaction, batch.blocks).await?;
    let stored = store_rows(&transaction, batch.rows, &tombstone, is_kept).await?;
    transaction.commit().await.doing(DOING)?;
    Ok(stored)
}

/// Closes what ended with a batch that is stored. Who remembered one as open at the same time saw no record yet, and the
/// transaction did not see what it remembered.
pub(crate) async fn close_ended(client: Object, batch: &Batch<'_>) -> Result<(), Fault> {
    open_exchanges::close(&client, &ended(batch.rows)).await
}

fn ended(rows: &[Row]) -> Vec<Uuid> {
    rows.iter().filter(|row| row.record.exchange.rank() > Rank::Running).map(|row| uuid(row.id())).collect()
}

async fn store_rows(
    transaction: &Transaction<'_>,
    rows: &[Row],
    tombstone: &Tombstone,
    outbox_is_kept: bool,
) -> Result<Vec<bool>, Fault> {
    let mut stored = vec![false; rows.len()];
    let (mut sums, mut totals) = (Changes::default(), Totals::default());
    let is_wanted = |row: &Row| row.table == Table::Stray || !tombstone.covers(row.id());
    let mut left: Vec<usize> = (0..rows.len()).filter(|&at| is_wanted(&rows[at])).collect();
    // A statement can't write a row twice: of records with the same id, the second goes with the next one.
    while !left.is_empty() {
        let (mut round, mut later): (Vec<usize>, Vec<usize>) = (Vec::with_capacity(left.len()), Vec::new());
        for at in left {
            match round.last() {
                Some(&last) if rows[last].id() == rows[at].id() => later.push(at),
                _ => round.push(at),
            }
        }
        for table in [Table::Exchange, Table::Stray] {
            let of_table: Vec<usize> = round.iter().copied().filter(|&at| rows[at].table == table).collect();
            for (at, prior) in upsert(transaction, table.upsert(outbox_is_kept), rows, &of_table).await? {
                stored[at] = true;
                if table == Table::Exchange {
                    account(&rows[at].record, prior, &mut sums, &mut totals);
                }
            }
        }
        left = later;
    }
    let ended = ended(rows);
    let (sums, totals, closed) = join3(
        rollup::note(transaction, &sums),
        totals.note(transaction),
        open_exchanges::close(transaction.client(), &ended),
    )
    .await;
    sums.and(totals).and(closed)?;
    Ok(stored)
}

/// What a record was counted as that another replaced.
struct Prior {
    counted: Counted,
    captured: i64,
    part: i32,
}

fn account(record: &PackedRecord, prior: Option<Prior>, sums: &mut Changes, totals: &mut Totals) {
    let day = day_of(record.exchange.id);
    if let Some(prior) = prior {
        sums.subtract(&prior.counted);
        totals.add(day, prior.part, prior.captured, -1);
    }
    sums.add(&Counted::from(&record.exchange));
    totals.add(day, record.bucket.part.cast_signed(), int(record.captured), 1);
}

/// Writes those rows; gives the places of those that were stored, with what each replaced.
async fn upsert(
    transaction: &Transaction<'_>,
    sql: &str,
    rows: &[Row],
    places: &[usize],
) -> Result<Vec<(usize, Option<Prior>)>, Fault> {
    const DOING: &str = "store records";
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let records: Vec<&PackedRecord> = places.iter().map(|&at| &rows[at].record).collect();
    let statement = transaction.prepare_cached(sql).await.doing(DOING)?;
    let parameters = parameters(&records);
    let stored = transaction.query(&statement, &references(&parameters)).await.doing(DOING)?;
    let by_id: HashMap<Uuid, usize> = places.iter().map(|&at| (uuid(rows[at].id()), at)).collect();
    let mut found = Vec::with_capacity(stored.len());
    for row in &stored {
        let mut columns = Columns::new(row);
        let id: Uuid = columns.take()?;
        let at = by_id.get(&id).copied();
        let at =
            at.ok_or_else(|| Fault::permanent("PostgreSQL says that it stored what it was not given"))?;
        found.push((at, prior(&mut columns)?));
    }
    Ok(found)
}

fn prior(columns: &mut Columns<'_>) -> Result<Option<Prior>, Fault> {
    let Some(began_us) = columns.take::<Option<i64>>()? else { return Ok(None) };
    let counted = Counted {
        began_at: Timestamp::from_unix_us(began_us),
        outcome: rollup::outcome_of(columns.take()?),
        provider: columns.take()?,
        model: columns.take()?,
        duration_us: columns.number()?,
        first_token_us: columns.number()?,
        input_tokens: columns.number()?,
        output_tokens: columns.number()?,
        cache_read_tokens: columns.number()?,
        cost_micros: columns.number()?,
        estimated: columns.take()?,
        lost_bytes: unsigned(columns.take()?),
    };
    Ok(Some(Prior { counted, captured: columns.take()?, part: columns.take()? }))
}
