//! The dashboard and the indexer ended in order (SIGTERM) under load. Gateways and recorders: `recorders.rs`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use tokio::task::JoinSet;

use crate::engines::Meilisearch;
use crate::ground::{Ground, calls};
use crate::place::Place;

/// What users of a dashboard ask for.
const PAGES: [&str; 3] = ["/", "/api/v1/exchanges?limit=50", "/api/v1/exchanges?limit=50&q=gpt%20in:all"];
/// What may last for hours is broken off where the dashboard ends, so that whoever gets it knows.
const STREAMS: [&str; 2] = [EXPORT, "/api/v1/live"];
const EXPORT: &str = "/api/v1/export?format=jsonl&include=conversation";

/// What users saw.
#[derive(Default)]
struct Asked {
    answered: AtomicUsize,
    broken_off: AtomicUsize,
    /// Answers that were none, or had no end.
    faults: Mutex<Vec<String>>,
}

/// Asks a dashboard for the same page again and again.
async fn ask_on(dashboard: String, page: &'static str, asked: Arc<Asked>, done: Arc<AtomicBool>) {
    let http = crate::client::http();
    let archived = async || {
        let count = http.get(format!("{dashboard}/api/v1/exchanges?limit=500")).send().await.ok()?;
        let page: serde_json::Value = count.json().await.ok()?;
        page["items"].as_array().map(Vec::len)
    };
    while !done.load(Ordering::Relaxed) {
        let at_least = if page == EXPORT { archived().await } else { None };
        // Where nobody listens, or a connection was just closed, nothing was promised; nor where it is starting.
        let answer = http.get(format!("{dashboard}{page}")).send().await;
        let Some(answer) = answer.ok().filter(|answer| answer.status() != StatusCode::SERVICE_UNAVAILABLE)
        else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let status = answer.status();
        match answer.text().await {
            Ok(body) if status.is_success() && body.lines().count() >= at_least.unwrap_or_default() => {
                asked.answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) if status.is_success() && STREAMS.contains(&page) => {
                asked.broken_off.fetch_add(1, Ordering::Relaxed);
            }
            body => {
                let fault = format!(
                    "{page}: {status}, {:?}, at least {at_least:?} lines",
                    body.map(|body| body.len())
                );
                asked.faults.lock().unwrap().push(fault);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dashboard_ended_under_load_answers_what_it_was_asked_and_loses_nothing() {
    const TURNS: usize = 3;
    let ground = Ground::new("best_effort").await;
    let mut web = Place::new("web", 0);
    web.start(&ground.engines);
    let (asked, done, mut users) =
        (Arc::new(Asked::default()), Arc::new(AtomicBool::new(false)), JoinSet::new());
    for page in PAGES.into_iter().chain(STREAMS) {
        users.spawn(ask_on(web.address(), page, Arc::clone(&asked), Arc::clone(&done)));
    }
    let load = ground.begin("web-ended", calls(1_200, 20_000));
    for turn in 1..=TURNS {
        load.reached(turn, TURNS + 1).await;
        let answered = asked.answered.load(Ordering::Relaxed);
        web.stop();
        web.start(&ground.engines);
        let began = Instant::now();
        while asked.answered.load(Ordering::Relaxed) <= answered + 2 * PAGES.len() {
            assert!(began.elapsed() < Duration::from_secs(60), "the dashboard answers nothing any more");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let seen = load.finish().await;
    done.store(true, Ordering::Relaxed);
    web.stop();
    users.join_all().await;
    let asked = Arc::into_inner(asked).unwrap();
    let faults = asked.faults.into_inner().unwrap();
    let (answered, broken_off) = (asked.answered.into_inner(), asked.broken_off.into_inner());
    eprintln!("{answered} answers, {broken_off} broken off");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    ground.all_is_there(&seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_indexer_that_waits_for_its_engine_ends_in_order_under_load() {
    let ground = Ground::new("best_effort").await;
    let mut indexer = Place::new("indexer", 0);
    let load = ground.begin("waiting", calls(600, 20_000));
    for turn in 1..=3 {
        indexer.start(&ground.engines);
        load.reached(turn, 4).await;
        indexer.stop();
    }
    ground.all_is_there(&load.finish().await).await;
}

/// How many documents an index has; none where it is not there yet.
async fn documents(meilisearch: &Meilisearch, index: &str) -> usize {
    let stats = meilisearch.ask(Method::GET, &format!("{index}/stats")).await;
    if stats.status() == StatusCode::NOT_FOUND {
        return 0;
    }
    assert_eq!(stats.status(), StatusCode::OK);
    let stats: serde_json::Value = stats.json().await.unwrap();
    stats["numberOfDocuments"].as_u64().unwrap() as usize
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_an_indexer_that_is_ended_under_load_leaves_is_indexed_by_the_next() {
    const TURNS: usize = 4;
    let Some(meilisearch) = Meilisearch::given() else { return };
    let mut ground = Ground::without_recorders("best_effort", &[]).await;
    ground.engines.use_meilisearch(&meilisearch);
    ground.recorders.iter_mut().for_each(|place| place.start(&ground.engines));
    let mut indexers = [Place::new("indexer", 0), Place::new("indexer", 1)];
    indexers.iter_mut().for_each(|place| place.start(&ground.engines));
    let load = ground.begin("indexed", calls(2_400, 20_000));
    let outbox = |ground: &Ground| -> usize {
        ground.engines.postgres.sql(&ground.engines.database, "SELECT count(*) FROM outbox").parse().unwrap()
    };
    let mut left = 0;
    for turn in 1..=TURNS {
        load.reached(turn, TURNS + 1).await;
        // Both, so that nobody takes over what they leave before the next one starts.
        indexers.iter_mut().for_each(Place::stop);
        left += outbox(&ground);
        indexers.iter_mut().for_each(|place| place.start(&ground.engines));
    }
    let seen = load.finish().await;
    eprintln!("{left} exchanges were left to the next");
    assert!(left > 0, "they were ended while there was nothing to do");
    ground.all_is_there(&seen).await;
    let (count, began) = (seen.iter().map(Vec::len).sum::<usize>(), Instant::now());
    loop {
        let (indexed, left) = (documents(&meilisearch, &ground.engines.index()).await, outbox(&ground));
        if indexed == count && left == 0 {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(240),
            "{indexed} of {count} are indexed, {left} are to be"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let failed = ground.engines.postgres.sql(&ground.engines.database, "SELECT count(*) FROM outbox_failed");
    assert_eq!(failed, "0");
    indexers.iter_mut().for_each(Place::stop);
    meilisearch.delete(&ground.engines.index()).await;
}
