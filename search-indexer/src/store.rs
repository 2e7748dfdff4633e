//! Writing documents to the index, and telling the archive what became of each.

use tokio_util::sync::CancellationToken;
use verbatim_core::model::SearchDocument;
use verbatim_core::ports::{PortError, WriteOutcome};

use crate::backoff::until_done;
use crate::measure::{self, Became};
use crate::{IndexerConfig, IndexerError, Ports};

/// A document with the outbox entries that asked for it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) numbers: Vec<u64>,
    pub(crate) document: SearchDocument,
}

/// Writes documents and settles their entries. Where the index refuses them together, each half is tried on its own, so
/// that one that fails alone is set aside alone.
pub(crate) async fn store(
    config: &IndexerConfig,
    ports: &Ports,
    entries: Vec<Entry>,
    token: &CancellationToken,
) -> Result<(), IndexerError> {
    let mut batches = vec![entries];
    while let Some(mut entries) = batches.pop() {
        match write(config, ports, &entries, token).await {
            Ok(outcomes) => settle(config, ports, &entries, outcomes, token).await?,
            Err(IndexerError::Port(error)) if entries.len() > 1 => {
                tracing::debug!(%error, documents = entries.len(), "the index refuses documents together: trying halves");
                let second = entries.split_off(entries.len() / 2);
                batches.extend([second, entries]);
            }
            Err(IndexerError::Port(error)) => {
                let refused = vec![WriteOutcome::Refused(error.to_string())];
                settle(config, ports, &entries, refused, token).await?;
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
    token: &CancellationToken,
) -> Result<(), IndexerError> {
    let mut settled = Vec::new();
    let mut indexed = 0;
    for (entry, outcome) in entries.iter().zip(outcomes) {
        match outcome {
            WriteOutcome::Indexed => {
                settled.extend(&entry.numbers);
                indexed += 1;
            }
            WriteOutcome::Refused(reason) => {
                tracing::warn!(exchange = %entry.document.id(), reason, "an exchange can't be indexed: it is set aside");
                set_aside(config, ports, &entry.numbers, &reason, token).await?;
            }
        }
    }
    until_done(config, token, "settle", || ports.archive.settle_outbox(&settled)).await?;
    measure::done(Became::Indexed, indexed);
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
