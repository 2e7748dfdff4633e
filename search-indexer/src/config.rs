//! Limits and intervals.

use std::time::Duration;

/// How an indexer works. The defaults suit one process on a laptop.
#[derive(Debug, Clone)]
pub struct IndexerConfig {
    /// So many look at the outbox at the same time: while one's documents are written, another reads its own.
    pub workers: usize,
    /// Entries claimed from the outbox at once.
    pub claim: usize,
    /// The same while the machine is wanted for more urgent work.
    pub claim_squeezed: usize,
    /// Documents written to the index at once: the more, the less an index writes for each.
    pub batch_documents: usize,
    /// Bytes of text written at once; a larger document is a batch of its own.
    pub batch_bytes: usize,
    /// Exchanges fetched and read together.
    pub fetch: usize,
    /// So many of these at the same time.
    pub readers: usize,
    /// Bytes of bodies in memory at the same time; a larger exchange is read as the only one of its reader.
    pub body_bytes: u64,
    /// How often the outbox is looked at when nobody tells of commits.
    pub poll: Duration,
    /// The shortest time between two looks while there is less than a batch, so that single commits gather.
    pub gather: Duration,
    /// The first and the longest wait after a failure that may pass.
    pub backoff: (Duration, Duration),
}

impl Default for IndexerConfig {
    fn default() -> Self {
        Self {
            workers: 1,
            claim: 2_000,
            claim_squeezed: 100,
            batch_documents: 1_000,
            batch_bytes: 4 << 20,
            fetch: 100,
            readers: 2,
            body_bytes: 16 << 20,
            poll: Duration::from_millis(500),
            gather: Duration::from_millis(200),
            backoff: (Duration::from_millis(100), Duration::from_secs(10)),
        }
    }
}

impl IndexerConfig {
    /// For an index on a server of its own, which takes about as long for few documents as for many: Meilisearch 1.50 did
    /// 1,200 documents/s by the thousand, 3,000 by 5,000, and 3,700 by 10,000.
    pub fn for_server() -> Self {
        Self { workers: 2, claim: 10_000, batch_documents: 10_000, batch_bytes: 16 << 20, ..Self::default() }
    }
}
