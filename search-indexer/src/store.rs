//! Writing documents to the index, and telling the archive what became of each.

use std::collections::HashMap;

use tokio_util::sync::CancellationToken;
use verbatim_core::model::{ExchangeId, Rank, SearchDocument};
use verbatim_core::ports::{Deleted, PortError, WriteOutcome};

use crate::backoff::until_done;
use crate::measure::{self, Became};
use crate::{IndexerConfig, IndexerError, Ports};

/// A document with the outbox entries that asked for it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) numbers: Vec<u64>,
    pub(crate) document: SearchDocument,
}

/// How exchanges are in the archive.
#[derive(Debug)]
pub(crate) struct Before {
    deleted: Deleted,
    ranks: HashMap<ExchangeId, Option<Rank>>,
}

impl Before {
    pub(crate) async fn look(
        config: &IndexerConfig,
        ports: &Ports,
        ids: &[ExchangeId],
        token: &CancellationToken,
    ) -> Result<Self, IndexerError> {
        let deleted = until_done(config, token, "look", || ports.archive.deleted()).await?;
        let ranks = until_done(config, token, "look", || ports.archive.ranks(ids)).await?;
        Ok(Self { deleted, ranks: ids.iter().copied().zip(ranks).collect() })
    }
}

/// Writes documents and settles their entries. Where the index refuses them together, each half is tried on its own, so
/// that one that fails alone is set aside alone. `before` is how they were before the first of them was fetched.
pub(crate) async fn store(
    config: &IndexerConfig,
    ports: &Ports,
    entries: Vec<Entry>,
    before: &Before,
    token: &CancellationToken,
) -> Result<(), IndexerError> {
    let mut batches = vec![entries];
    while let Some(mut entries) = batches.pop() {
        match write(config, ports, &entries, token).await {
            Ok(outcomes) => settle(config, ports, &entries, outcomes, before, token).await?,
            Err(IndexerError::Port(error)) if entries.len() > 1 => {
                tracing::debug!(%error, documents = entries.len(), "the index refuses documents together: trying halves");
                let second = entries.split_off(entries.len() / 2);
                batches.extend([second, entries]);
            }
            Err(IndexerError::Port(error)) => {
                let refused = vec![WriteOutcome::Refused(error.to_string())];
                settle(config, ports, &entries, refused, before, token).await?;
            }
            Err(stopped) => return Err(stopped),
        }
    }
    Ok(())
}

async fn write(
    config: &IndexerConfig,
    ports: &Ports,
    entries: &[Entry],
    token: &CancellationToken,
) -> Result<Vec<WriteOutcome>, IndexerError> {
    let documents = || entries.iter().map(|entry| entry.document.clone()).collect::<Vec<_>>();
    let outcomes = until_done(config, token, "write", || ports.index.write(documents())).await?;
    if outcomes.len() == entries.len() {
        return Ok(outcomes);
    }
    let (wanted, got) = (entries.len(), outcomes.len());
    Err(PortError::Permanent(format!("the index told the outcome of {got} documents, not of {wanted}"))
        .into())
}

async fn settle(
    config: &IndexerConfig,
    ports: &Ports,
    entries: &[Entry],
    outcomes: Vec<WriteOutcome>,
    before: &Before,
    token: &CancellationToken,
) -> Result<(), IndexerError> {
    let mut indexed = Vec::with_capacity(entries.len());
    for (entry, outcome) in entries.iter().zip(outcomes) {
        match outcome {
            WriteOutcome::Indexed => indexed.push(entry),
            WriteOutcome::Refused(reason) => {
                tracing::warn!(exchange = %entry.document.id(), reason, "an exchange can't be indexed: it is set aside");
                set_aside(config, ports, &entry.numbers, &reason, token).await?;
            }
        }
    }
    let overtaken = overtaken(config, ports, &indexed, before, token).await?;
    if !overtaken.is_empty() {
        until_done(config, token, "note", || ports.archive.note_outbox(&overtaken)).await?;
        ports.committed.notify_one();
    }
    let settled: Vec<u64> = indexed.iter().flat_map(|entry| entry.numbers.iter().copied()).collect();
    until_done(config, token, "settle", || ports.archive.settle_outbox(&settled)).await?;
    measure::done(Became::Indexed, indexed.len() as u64);
    Ok(())
}

/// Looks, now that the documents are durable, which of them no longer say what the archive has; what was deleted is
/// forgotten at once.
async fn overtaken(
    config: &IndexerConfig,
    ports: &Ports,
    indexed: &[&Entry],
    before: &Before,
    token: &CancellationToken,
) -> Result<Vec<ExchangeId>, IndexerError> {
    if indexed.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<ExchangeId> = indexed.iter().map(|entry| entry.document.id()).collect();
    let deleted = forget_deleted(config, ports, &ids, token).await?;
    let ranks = until_done(config, token, "look", || ports.archive.ranks(&ids)).await?;
    let is_overtaken = |(id, rank): &(ExchangeId, Option<Rank>)| {
        let is_there = Some(*id) > deleted.records_through;
        is_there && (deleted.bodies != before.deleted.bodies || before.ranks.get(id) != Some(rank))
    };
    Ok(ids.into_iter().zip(ranks).filter(is_overtaken).map(|(id, _)| id).collect())
}

/// Has the index forget all that was deleted, if one of these is among it; gives how far deleting has come.
async fn forget_deleted(
    config: &IndexerConfig,
    ports: &Ports,
    ids: &[ExchangeId],
    token: &CancellationToken,
) -> Result<Deleted, IndexerError> {
    let deleted = until_done(config, token, "look", || ports.archive.deleted()).await?;
    if let Some(through) = deleted.records_through.filter(|through| ids.iter().any(|id| id <= through)) {
        until_done(config, token, "forget", || ports.index.forget(through)).await?;
    }
    Ok(deleted)
}

/// Has the index forget exchanges that the archive does not have, with all that was deleted before them, and settles their
/// entries.
pub(crate) async fn forget(
    config: &IndexerConfig,
    ports: &Ports,
    gone: Vec<(ExchangeId, Vec<u64>)>,
    token: &CancellationToken,
) -> Result<(), IndexerError> {
    let (ids, numbers): (Vec<_>, Vec<_>) = gone.into_iter().unzip();
    forget_deleted(config, ports, &ids, token).await?;
    let numbers = numbers.concat();
    until_done(config, token, "settle", || ports.archive.settle_outbox(&numbers)).await?;
    measure::done(Became::Gone, ids.len() as u64);
    Ok(())
}

/// Sets the entries of one exchange aside.
pub(crate) async fn set_aside(
    config: &IndexerConfig,
    ports: &Ports,
    numbers: &[u64],
    reason: &str,
    token: &CancellationToken,
) -> Result<(), IndexerError> {
    for &number in numbers {
        until_done(config, token, "set_aside", || ports.archive.set_aside_outbox(number, reason)).await?;
    }
    measure::done(Became::SetAside, 1);
    Ok(())
}
