//! One look at the outbox: claim, fetch, write, settle.
//!
//! An entry means that the index may not say what the archive has; it is settled once the index does. A record that was
//! replaced or lost its bodies while its document was written is noted again, whoever else may be at it, so that what was
//! read first is never what stays; of one that was deleted meanwhile, the index forgets what was just written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use verbatim_core::model::{ExchangeId, SearchDocument};
use verbatim_core::ports::{OutboxEntry, PortError};

use crate::backoff::until_done;
use crate::fetch::{Fetched, fetch};
use crate::measure;
use crate::store::{Before, Entry, forget, set_aside, store};
use crate::{IndexerConfig, IndexerError, Ports};

/// Claims at most `limit` entries and works them off; gives how many there were. Told to stop, it hands back those that
/// are not done.
pub(crate) async fn pass(
    config: &IndexerConfig,
    ports: &Ports,
    limit: usize,
    token: &CancellationToken,
) -> Result<usize, IndexerError> {
    let began = Instant::now();
    let claim = || ports.archive.claim_outbox(limit);
    let claimed = until_done(config, token, "claim", claim).await?;
    if claimed.is_empty() {
        return Ok(0);
    }
    let count = claimed.len();
    let numbers: Vec<u64> = claimed.iter().map(|entry| entry.number).collect();
    let result = work_off(config, ports, by_exchange(claimed), token).await;
    if result.is_err() {
        // Those that were settled meanwhile are not there any more: handing them back does nothing.
        if let Err(error) = ports.archive.release_outbox(&numbers).await {
            tracing::warn!(%error, "could not hand back what was claimed: it comes again after a restart");
        }
    }
    measure::pass(began.elapsed());
    result.map(|()| count)
}

/// An exchange that was committed more than once is fetched once, as it is now.
fn by_exchange(claimed: Vec<OutboxEntry>) -> Vec<(ExchangeId, Vec<u64>)> {
    let mut places = HashMap::new();
    let mut exchanges: Vec<(ExchangeId, Vec<u64>)> = Vec::new();
    for entry in claimed {
        let place = *places.entry(entry.id).or_insert(exchanges.len());
        match exchanges.get_mut(place) {
            Some((_, numbers)) => numbers.push(entry.number),
            None => exchanges.push((entry.id, vec![entry.number])),
        }
    }
    exchanges
}

async fn work_off(
    config: &IndexerConfig,
    ports: &Ports,
    exchanges: Vec<(ExchangeId, Vec<u64>)>,
    token: &CancellationToken,
) -> Result<(), IndexerError> {
    let ids: Vec<ExchangeId> = exchanges.iter().map(|(id, _)| *id).collect();
    let before = Arc::new(Before::look(config, ports, &ids, token).await?);
    let mut writer = BatchWriter { config, ports, token, before, writing: JoinSet::new() };
    let fetched = fetch_all(config, ports, exchanges, token, &mut writer).await;
    // What is being written is finished in any case.
    writer.finish().await.and(fetched)
}

async fn fetch_all(
    config: &IndexerConfig,
    ports: &Ports,
    exchanges: Vec<(ExchangeId, Vec<u64>)>,
    token: &CancellationToken,
    writer: &mut BatchWriter<'_>,
) -> Result<(), IndexerError> {
    let groups = exchanges.chunks(config.fetch.max(1)).map(<[_]>::to_vec).collect::<Vec<_>>();
    let mut groups = stream::iter(groups)
        .map(|group| fetch_group(config, ports, group, token))
        .buffer_unordered(config.readers.max(1));
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let mut gone = Vec::new();
    while let Some(group) = groups.next().await {
        for ((id, numbers), fetched) in group? {
            if token.is_cancelled() {
                return Err(IndexerError::Stopped);
            }
            match fetched {
                Fetched::Document(document) => {
                    let document = *document;
                    bytes += weight(&document);
                    batch.push(Entry { numbers, document });
                    if bytes >= config.batch_bytes || batch.len() >= config.batch_documents {
                        writer.write(std::mem::take(&mut batch)).await?;
                        bytes = 0;
                    }
                }
                Fetched::Gone => gone.push((id, numbers)),
                Fetched::Unreadable(reason) => {
                    tracing::warn!(reason, "an exchange can't be read for the index: it is set aside");
                    set_aside(config, ports, &numbers, &reason, token).await?;
                }
            }
        }
    }
    if !batch.is_empty() {
        writer.write(batch).await?;
    }
    if !gone.is_empty() {
        forget(config, ports, gone, token).await?;
    }
    Ok(())
}

/// Fetches exchanges, as many at once as their bodies allow.
async fn fetch_group(
    config: &IndexerConfig,
    ports: &Ports,
    group: Vec<(ExchangeId, Vec<u64>)>,
    token: &CancellationToken,
) -> Result<Vec<((ExchangeId, Vec<u64>), Fetched)>, IndexerError> {
    let bytes = config.body_bytes / config.readers.max(1) as u64;
    let ids: Vec<ExchangeId> = group.iter().map(|(id, _)| *id).collect();
    let (mut left, mut all) = (ids.as_slice(), Vec::with_capacity(ids.len()));
    while !left.is_empty() {
        let fetched = until_done(config, token, "fetch", || fetch(&*ports.archive, left, bytes)).await?;
        left = left.get(fetched.len().max(1)..).unwrap_or_default();
        all.extend(fetched);
    }
    Ok(group.into_iter().zip(all).collect())
}

fn weight(document: &SearchDocument) -> usize {
    document.fields().iter().map(|(_, text)| text.len()).sum()
}

/// Writes one batch while the next is fetched.
struct BatchWriter<'a> {
    config: &'a IndexerConfig,
    ports: &'a Ports,
    token: &'a CancellationToken,
    /// How they were when the first was fetched.
    before: Arc<Before>,
    /// One at most.
    writing: JoinSet<Result<(), IndexerError>>,
}

impl BatchWriter<'_> {
    async fn write(&mut self, batch: Vec<Entry>) -> Result<(), IndexerError> {
        self.finish().await?;
        let (config, ports, token) = (self.config.clone(), self.ports.clone(), self.token.clone());
        let before = Arc::clone(&self.before);
        self.writing.spawn(async move { store(&config, &ports, batch, &before, &token).await });
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), IndexerError> {
        while let Some(written) = self.writing.join_next().await {
            written.map_err(|error| PortError::permanent("writing to the index was broken off", error))??;
        }
        Ok(())
    }
}
