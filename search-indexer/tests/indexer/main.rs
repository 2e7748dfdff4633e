//! What the indexer promises, against an archive and an index that fail on command.

mod fakes;
mod overtaken;
mod rebuilding;

use std::sync::Arc;
use std::time::Duration;

use fakes::{MemoryArchive, MemoryIndex};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use verbatim_core::model::{ExchangeId, ExchangeRecord};
use verbatim_search_indexer::{IndexerConfig, IndexerError, OutboxLock, Ports, run};
use verbatim_testkit::ExchangeBuilder;

/// Longer than any test takes.
const NEVER: Duration = Duration::from_secs(3600);
/// What a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    archive: Arc<MemoryArchive>,
    index: Arc<MemoryIndex>,
    config: IndexerConfig,
    ports: Ports,
    token: CancellationToken,
    role: JoinSet<Result<(), IndexerError>>,
}

impl World {
    fn new() -> Self {
        let archive = Arc::new(MemoryArchive::default());
        let index = Arc::new(MemoryIndex::default());
        let config = IndexerConfig {
            poll: NEVER,
            gather: Duration::ZERO,
            backoff: (Duration::from_millis(1), Duration::from_millis(5)),
            ..IndexerConfig::default()
        };
        let ports = Ports {
            pace: Arc::new(verbatim_core::ports::Unpaced),
            archive: archive.clone(),
            index: index.clone(),
            committed: Arc::new(Notify::new()),
            outbox_lock: OutboxLock::default(),
        };
        Self { archive, index, config, ports, token: CancellationToken::new(), role: JoinSet::new() }
    }

    fn start(&mut self) {
        self.role.spawn(run(self.config.clone(), self.ports.clone(), self.token.clone()));
    }

    /// Commits, as a recorder in the same process does.
    fn commit(&self, record: ExchangeRecord) {
        self.archive.add(record);
        self.ports.committed.notify_one();
    }

    /// Waits until nothing is left in the outbox.
    async fn until_settled(&self) {
        let settled = async {
            while !self.archive.state().outbox.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, settled).await.expect("the outbox is worked off");
    }

    async fn stop(mut self) {
        self.token.cancel();
        while let Some(ended) = tokio::time::timeout(PATIENCE, self.role.join_next()).await.expect("it stops")
        {
            ended.expect("it does not panic").expect("it stops in order");
        }
    }

    fn asked(&self) -> Vec<String> {
        self.index.state().documents.values().map(|document| document.asked.clone()).collect()
    }
}

fn record(asked: &str) -> ExchangeRecord {
    let request = format!(r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"{asked}"}}]}}"#);
    ExchangeBuilder::minted().request(request).build()
}

#[tokio::test]
async fn what_is_committed_is_indexed_at_once_when_told() {
    let mut world = World::new();
    world.archive.add(record("before the start"));
    world.start();
    world.until_settled().await;
    for n in 0..5 {
        world.commit(record(&format!("call {n}")));
        world.until_settled().await;
    }
    assert_eq!(world.asked(), ["before the start", "call 0", "call 1", "call 2", "call 3", "call 4"]);
    world.stop().await;
}

#[tokio::test]
async fn what_is_committed_elsewhere_is_found_by_polling() {
    let mut world = World::new();
    world.config.poll = Duration::from_millis(1);
    world.start();
    world.archive.add(record("from another process"));
    world.until_settled().await;
    assert_eq!(world.asked(), ["from another process"]);
    world.stop().await;
}

#[tokio::test]
async fn a_document_that_is_refused_is_set_aside_and_the_others_go_on() {
    let mut world = World::new();
    let bad = record("bad");
    world.index.state().refuses.insert("bad".to_owned());
    for record in [record("one"), bad.clone(), record("two")] {
        world.archive.add(record);
    }
    world.start();
    world.until_settled().await;
    assert_eq!(world.asked(), ["one", "two"]);
    let set_aside = world.archive.state().set_aside.clone();
    assert_eq!(
        set_aside.into_iter().collect::<Vec<_>>(),
        [(bad.exchange.id, "the index does not like it".to_owned())]
    );
    world.stop().await;
}

#[tokio::test]
async fn one_that_spoils_its_batch_is_found_by_halving() {
    let mut world = World::new();
    world.index.state().chokes_on.extend(["bad 37".to_owned(), "bad 38".to_owned()]);
    for n in 0..100 {
        world.archive.add(record(&format!("{} {n}", if n == 37 || n == 38 { "bad" } else { "good" })));
    }
    world.start();
    world.until_settled().await;
    assert_eq!(world.asked().len(), 98);
    assert_eq!(world.archive.state().set_aside.len(), 2);
    assert!(world.index.state().writes.len() < 40, "{:?}", world.index.state().writes);
    world.stop().await;
}

#[tokio::test]
async fn failures_that_pass_are_waited_out() {
    let mut world = World::new();
    world.archive.state().failing = 7;
    world.index.state().failing = 5;
    for n in 0..10 {
        world.archive.add(record(&n.to_string()));
    }
    world.start();
    world.until_settled().await;
    assert_eq!(world.asked().len(), 10);
    assert!(world.archive.state().set_aside.is_empty());
    world.stop().await;
}

#[tokio::test]
async fn it_stops_while_the_index_is_away_and_hands_back_what_it_had() {
    let mut world = World::new();
    world.config.backoff = (NEVER, NEVER);
    world.index.state().failing = usize::MAX;
    world.archive.add(record("waiting"));
    let written = Arc::clone(&world.index.written);
    world.start();
    tokio::time::timeout(PATIENCE, written.notified()).await.expect("it tries");
    let archive = Arc::clone(&world.archive);
    world.stop().await;
    assert_eq!(archive.state().outbox.len(), 1);
    assert!(archive.state().claimed.is_empty(), "another indexer may take it");
}

#[tokio::test]
async fn an_exchange_that_is_gone_is_settled() {
    let mut world = World::new();
    world.archive.state().ask_for(ExchangeId::mint());
    world.archive.add(record("still there"));
    world.start();
    world.until_settled().await;
    assert_eq!(world.asked(), ["still there"]);
    world.stop().await;
}

#[tokio::test]
async fn an_exchange_whose_body_is_damaged_is_found_by_its_columns() {
    let mut world = World::new();
    let damaged = record("damaged");
    world.archive.state().unreadable.insert(damaged.exchange.id);
    world.archive.add(damaged.clone());
    world.start();
    world.until_settled().await;
    let documents = world.index.state().documents.clone();
    assert_eq!(documents[&damaged.exchange.id].exchange, damaged.exchange);
    world.stop().await;
}

#[tokio::test]
async fn an_exchange_that_was_committed_twice_is_written_once_as_it_is_now() {
    let mut world = World::new();
    let id = ExchangeId::mint();
    for asked in ["so far", "in the end"] {
        let request = format!(r#"{{"messages":[{{"role":"user","content":"{asked}"}}]}}"#);
        world.archive.add(ExchangeBuilder::new(id).request(request).build());
    }
    world.start();
    world.until_settled().await;
    assert_eq!(world.asked(), ["in the end"]);
    assert_eq!(world.index.state().writes, [1]);
    world.stop().await;
}

#[tokio::test]
async fn batches_are_bounded_in_documents_and_bytes() {
    let mut world = World::new();
    world.config.batch_documents = 10;
    world.config.batch_bytes = 25_000;
    world.config.claim = 40;
    for _ in 0..50 {
        world.archive.add(record("small"));
    }
    for _ in 0..20 {
        world.archive.add(record(&"x".repeat(10_000)));
    }
    world.start();
    world.until_settled().await;
    let writes = world.index.state().writes.clone();
    assert_eq!(writes.iter().sum::<usize>(), 70);
    assert!(writes.iter().all(|count| *count <= 10), "{writes:?}");
    assert!(writes.iter().filter(|count| **count <= 3).count() >= 6, "{writes:?}");
    world.stop().await;
}
