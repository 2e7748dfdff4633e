//! From one archive into another: everything that is kept, oldest first, and nothing twice.
//!
//! There is no state but the archives: what the other one has already, at the same or a higher rank, is passed over. So
//! it may be broken off anywhere, and begun again.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use verbatim_core::model::{ExchangeId, ExchangeRecord, Outcome, Rank};
use verbatim_core::ports::{Archive, Commit, Committed, PortError, PortResult};

use super::salvage::{Salvaged, read};

/// So many ids are looked at in one go.
const STEP: usize = 1_000;
/// So many bytes of bodies go over together; one exchange at least, however large it is. Up to three such batches are in
/// memory: one is read while one waits and another is written.
const BATCH_BYTES: u64 = 8 << 20;
/// And so many exchanges at most.
const BATCH: usize = 250;
/// How long a database that went away is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of it so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Copied {
    /// Exchanges looked at.
    pub(super) seen: u64,
    /// Of them, those that are there now and were not, or not as complete.
    pub(super) stored: u64,
    /// Bytes of their bodies, before blocks are shared.
    pub(super) bytes: u64,
    /// Those that were there already, or were deleted there by retention.
    pub(super) already: u64,
    /// Those that can't be read as they were written; they are carried over without what can't be read.
    pub(super) damaged: u64,
    /// Those of which nothing could be carried over.
    pub(super) lost: u64,
    /// Those that were under way when their process ended.
    pub(super) running: u64,
}

/// A piece of the way.
struct Batch {
    records: Vec<ExchangeRecord>,
    /// What of it is known without writing anything.
    known: Copied,
}

/// Copies until everything is there, or `stop` is cancelled: then what was read is still written. `told` hears of each
/// batch.
///
/// # Errors
/// Those of the archives; what went away for longer than a minute is given up. It may be called again.
pub(super) async fn copy(
    from: &dyn Archive,
    to: &dyn Archive,
    stop: &CancellationToken,
    mut told: impl FnMut(&Copied),
) -> PortResult<Copied> {
    let (batches, mut coming) = mpsc::channel(1);
    let reading = async {
        // Moved, so that it is dropped at the end: that is how the other side learns of it.
        let batches = batches;
        walk(from, to, stop, &batches).await
    };
    let writing = async {
        let mut copied = Copied::default();
        while let Some(batch) = coming.recv().await {
            write(to, batch, &mut copied).await?;
            told(&copied);
        }
        Ok(copied)
    };
    let ((), copied) = tokio::try_join!(reading, writing)?;
    Ok(copied)
}

/// Reads what is not there yet.
async fn walk(
    from: &dyn Archive,
    to: &dyn Archive,
    stop: &CancellationToken,
    batches: &mpsc::Sender<Batch>,
) -> PortResult<()> {
    let mut after = None;
    while !stop.is_cancelled() {
        let ids = from.ids(after, STEP).await?;
        let Some(&last) = ids.last() else { return Ok(()) };
        after = Some(last);
        let wanted = missing(from, to, &ids).await?;
        let already = (ids.len() - wanted.len()) as u64;
        let known = Copied { seen: already, already, ..Copied::default() };
        send(batches, Batch { records: Vec::new(), known }).await;
        let mut rest = &wanted[..];
        while !rest.is_empty() && !stop.is_cancelled() {
            let salvaged = read(from, &rest[..rest.len().min(BATCH)], BATCH_BYTES).await?;
            rest = &rest[salvaged.len()..];
            send(batches, sorted(salvaged)).await;
        }
    }
    Ok(())
}

/// Where writing has failed nobody takes it, and that error is the one that counts.
async fn send(batches: &mpsc::Sender<Batch>, batch: Batch) {
    let _ = batches.send(batch).await;
}

/// Those that the other archive does not have, or not as complete.
async fn missing(from: &dyn Archive, to: &dyn Archive, ids: &[ExchangeId]) -> PortResult<Vec<ExchangeId>> {
    let there = patiently(|| to.ranks(ids));
    let (here, there) = tokio::try_join!(from.ranks(ids), there)?;
    // Of two checkpoints the archive itself keeps the one that holds more.
    let is_there = |here: Option<Rank>, there: Option<Rank>| {
        there >= here && there.is_some_and(|rank| rank > Rank::Running)
    };
    let of_each = ids.iter().zip(here.into_iter().zip(there));
    Ok(of_each.filter(|(_, (here, there))| !is_there(*here, *there)).map(|(id, _)| *id).collect())
}

/// What was read, and what is known of it.
fn sorted(salvaged: Vec<Salvaged>) -> Batch {
    let mut batch = Batch { records: Vec::with_capacity(salvaged.len()), known: Copied::default() };
    for one in salvaged {
        batch.known.seen += 1;
        let record = match one {
            Salvaged::Whole(record) => record,
            Salvaged::Damaged(record) => {
                batch.known.damaged += 1;
                record
            }
            Salvaged::Lost => {
                batch.known.lost += 1;
                continue;
            }
            // Retention deleted it since its id was met.
            Salvaged::Gone => continue,
        };
        batch.known.running += u64::from(record.exchange.outcome == Outcome::Running);
        batch.records.push(record);
    }
    batch
}

async fn write(to: &dyn Archive, batch: Batch, copied: &mut Copied) -> PortResult<()> {
    let Batch { records, known } = batch;
    copied.seen += known.seen;
    copied.already += known.already;
    copied.damaged += known.damaged;
    copied.lost += known.lost;
    copied.running += known.running;
    if records.is_empty() {
        return Ok(());
    }
    let commits = || records.iter().map(|record| Commit { record: record.clone() }).collect();
    let committed = patiently(|| to.commit(commits())).await?;
    for (record, committed) in records.iter().zip(committed) {
        match committed {
            Committed::Stored => {
                copied.stored += 1;
                copied.bytes += record.bodies.iter().map(|body| body.bytes.len() as u64).sum::<u64>();
            }
            Committed::Superseded => copied.already += 1,
            Committed::Refused(why) => {
                tracing::error!(exchange = %record.exchange.id, why, "an exchange could not be carried over");
                copied.lost += 1;
            }
        }
    }
    Ok(())
}

/// Tries again while the database is away.
async fn patiently<T, F: Future<Output = PortResult<T>>>(attempt: impl FnMut() -> F) -> PortResult<T> {
    let waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_total_delay(Some(PATIENCE))
        .without_max_times();
    attempt
        .retry(waits)
        .when(PortError::is_transient)
        .notify(|error, _| tracing::warn!(%error, "waiting for the archive that is written to"))
        .await
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
