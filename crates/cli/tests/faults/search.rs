//! Indexers and Meilisearch are killed while exchanges are archived and deleted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;
use verbatim_archive_postgres::PostgresArchive;
use verbatim_core::model::{ExchangeId, ExchangeRecord, Outcome};
use verbatim_core::ports::{Archive, Clock, Commit, Retention, SystemClock};
use verbatim_testkit::ExchangeBuilder;

use crate::engines::Engines;
use crate::ground::calls;
use crate::meilisearch::MeilisearchServer;
use crate::place::Place;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Everything is indexed so long after the last kill, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(240);
const COMMITTERS: usize = 3;
/// So many exchanges stay.
const KEPT: u64 = 150;

/// A word for each number, none of which begins another.
fn word(number: usize) -> String {
    let letter = |power: u32| char::from(b'a' + (number / 26_usize.pow(power) % 26) as u8);
    format!("qx{}", [3, 2, 1, 0].map(letter).into_iter().collect::<String>())
}

/// The `number`th exchange, which began before now.
fn exchange(number: usize, age: Duration, outcome: Outcome) -> ExchangeBuilder {
    let mut id = *ExchangeId::lowest_at(SystemClock.now().minus(age)).as_bytes();
    id[10..].copy_from_slice(&(number as u64).to_be_bytes()[2..]);
    let id = ExchangeId::try_from(&id[..]).unwrap();
    ExchangeBuilder::new(id).with(|exchange| {
        exchange.began_at = id.time();
        exchange.outcome = outcome;
    })
}

fn asking(builder: ExchangeBuilder, text: &str) -> ExchangeRecord {
    let messages = format!(r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    builder.request(messages).build()
}

async fn commit(archive: &PostgresArchive, record: ExchangeRecord) {
    archive.commit(vec![Commit { record }]).await.unwrap();
}

/// What the dashboard finds for a word.
async fn found(web: &str, word: &str) -> Vec<String> {
    let (_, page) = crate::api::get_json(&format!("{web}/api/v1/exchanges?q={word}")).await;
    assert_eq!(page["answered_by"], "search_index", "{page}");
    let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
    page["items"].as_array().unwrap().iter().map(id).collect()
}

/// Waits until nothing is left to be done to the index, and it has so many documents.
async fn until_indexed(engines: &Engines, meilisearch: &MeilisearchServer, documents: u64) {
    let began = Instant::now();
    loop {
        let waiting = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM body_loss)";
        let waiting = engines.postgres.sql(&engines.database, waiting);
        let there = meilisearch.documents(&engines.index()).await;
        let is_rebuilt = meilisearch.documents(&format!("{}-next", engines.index())).await.is_none();
        if waiting == "0" && there == Some(documents) && is_rebuilt {
            break;
        }
        let told =
            format!("{waiting} entries wait, {there:?} of {documents} documents, rebuilt: {is_rebuilt}");
        assert!(began.elapsed() < PATIENCE, "{told}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(engines.postgres.sql(&engines.database, "SELECT count(*) FROM outbox_failed"), "0");
}

/// Commits exchanges one by one, each first as it runs and then as it ended; the words of those that ended.
async fn load(
    archive: Arc<PostgresArchive>,
    numbers: Vec<usize>,
    ended: Arc<AtomicUsize>,
) -> BTreeMap<ExchangeId, usize> {
    let mut words = BTreeMap::new();
    for number in numbers {
        let begun = exchange(number, Duration::ZERO, Outcome::Running);
        let id = begun.clone().exchange().id;
        commit(&archive, asking(begun, &format!("begun {}", word(number)))).await;
        let whole = ExchangeBuilder::new(id).with(|exchange| exchange.began_at = id.time());
        commit(&archive, asking(whole, &format!("ended {}", word(number)))).await;
        words.insert(id, number);
        ended.fetch_add(1, Ordering::Relaxed);
    }
    words
}

#[tokio::test(flavor = "multi_thread")]
async fn indexers_and_meilisearch_killed_again_and_again_leave_every_exchange_found_once_and_none_that_is_gone()
 {
    let Some(mut meilisearch) = MeilisearchServer::start_given() else { return };
    let mut engines = Engines::start_migrated().await;
    engines.use_meilisearch(&meilisearch.given());
    let archive = engines.archive().await;
    // Before anybody indexes: some whose bodies are about to go.
    let all = calls(1_200, 12_000);
    let old = 60;
    let mut aged = Vec::new();
    for number in 0..old {
        let begun = exchange(number, DAY * 40, Outcome::Completed);
        aged.push(begun.clone().exchange().id);
        commit(&archive, asking(begun, &word(number))).await;
    }
    let mut indexers = [Place::new("indexer", 0), Place::new("indexer", 1)];
    indexers.iter_mut().for_each(|indexer| indexer.start(&engines));
    let web = engines.start_role("web", "web");

    let (ended, mut committers) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for committer in 0..COMMITTERS {
        let numbers = (old..all).filter(|number| number % COMMITTERS == committer).collect();
        committers.spawn(load(Arc::clone(&archive), numbers, Arc::clone(&ended)));
    }
    let rounds = 8;
    for round in 1..=rounds {
        let goal = (all - old) * round / (rounds + 1);
        while ended.load(Ordering::Relaxed) < goal {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Meilisearch, one of the indexers, or all of them.
        let kills_meilisearch = round % 4 != 1;
        let killed = match round % 4 {
            1 => &mut indexers[round / 4 % 2..][..1],
            2 => &mut [],
            3 => &mut indexers[..1],
            _ => &mut indexers[..],
        };
        if kills_meilisearch {
            meilisearch.kill();
        }
        for indexer in killed {
            indexer.kill();
        }
        // What goes while they are away.
        let retention = match round {
            1 => Retention { bodies_days: 30, ..Retention::default() },
            _ => Retention { max_exchanges: KEPT, ..Retention::default() },
        };
        archive.enforce(retention, SystemClock.now()).await.unwrap();
        if round == 4 {
            meilisearch.wipe();
        }
        if kills_meilisearch {
            meilisearch.start();
        }
        for indexer in indexers.iter_mut().filter(|indexer| !indexer.is_running()) {
            indexer.start(&engines);
        }
    }
    let mut words = BTreeMap::new();
    while let Some(loaded) = committers.join_next().await {
        words.extend(loaded.unwrap());
    }
    archive
        .enforce(Retention { max_exchanges: KEPT, ..Retention::default() }, SystemClock.now())
        .await
        .unwrap();
    until_indexed(&engines, &meilisearch, KEPT).await;

    let through = archive.deleted().await.unwrap().records_through.unwrap();
    let mut there = 0;
    for (id, number) in &words {
        let expected = if *id > through { vec![id.to_string()] } else { Vec::new() };
        there += expected.len();
        assert_eq!(found(&web.dashboard, &word(*number)).await, expected, "{id}");
    }
    assert_eq!(there as u64, KEPT);
    for number in 0..aged.len() {
        assert_eq!(found(&web.dashboard, &word(number)).await, Vec::<String>::new(), "of a deleted body");
    }
    assert_eq!(
        found(&web.dashboard, "begun").await,
        Vec::<String>::new(),
        "none is found as it was before it ended"
    );
    assert_eq!(found(&web.dashboard, "ended").await.len(), 50, "a page of those that are there");
    indexers.iter_mut().for_each(Place::stop);
    web.stop();
    archive.close().await;
}
