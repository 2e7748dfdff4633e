//! A backlog that nobody read for long.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use tokio::task::JoinSet;
use verbatim_archive_postgres::PostgresArchive;
use verbatim_core::model::{Exchange, ExchangeId, Integrity, Leg, Outcome};
use verbatim_core::ports::{Archive, CaptureLog, ListRequest};
use verbatim_mock_provider::Digest;

use crate::calls::{Call, Kind};
use crate::client::{http, make};
use crate::ground::{Ground, calls, is_soak};
use crate::verdict::patiently;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backlog_made_while_no_recorder_ran_is_drained_and_nothing_is_lost() {
    let mut ground = Ground::without_recorders("best_effort", &[]).await;
    let seen = ground.begin("backlog", calls(3_000, 60_000)).finish().await;
    ground.recorders.iter_mut().for_each(|place| place.start(&ground.engines));
    ground.all_is_there(&seen).await;
}

/// With `required` capture each call is two messages, its start and its end.
const MESSAGES_A_CALL: usize = 2;
/// What NATS may take of the memory, however much it holds.
const MEMORY: u64 = 512 << 20;
/// Callers at each gateway.
const CALLERS: usize = 48;

/// A machine that does much else may stand still for long.
const PATIENCE: Duration = Duration::from_secs(240);
/// Exchanges that are read from the archive side by side.
const READ_AT_ONCE: usize = 8;

/// A call that was answered.
struct Small {
    exchange: ExchangeId,
    number: usize,
    answer: Digest,
}

fn small(number: usize) -> Call {
    let body = serde_json::json!({"model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": format!("small call {number}")}]});
    Call {
        id: format!("small-{number}"),
        path: "/v1/chat/completions",
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
        kind: Kind::Whole,
    }
}

/// Makes so many small calls, and keeps little of each: there are very many.
async fn make_small(ground: &Ground, count: usize) -> Vec<Small> {
    let (next, mut callers) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for caller in 0..CALLERS * ground.gateways.len() {
        let (next, relay) = (Arc::clone(&next), ground.gateways[caller % ground.gateways.len()].address());
        callers.spawn(async move {
            let (http, mut made) = (http(), Vec::new());
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return made;
                }
                let seen = make(&http, &relay, small(number)).await;
                assert_eq!((seen.status, seen.complete), (Some(200), true), "call {number}");
                let exchange = seen.exchange.unwrap().parse().unwrap();
                made.push(Small { exchange, number, answer: Digest::of(&seen.body) });
            }
        });
    }
    callers.join_all().await.into_iter().flatten().collect()
}

/// Waits until no end is left in the log to be read, for as long as they become fewer.
async fn drained(log: &dyn CaptureLog) {
    let (mut least, mut since) = (u64::MAX, Instant::now());
    while least > 0 {
        let pending = log.health().await.map_or(u64::MAX, |health| health.ends_pending);
        if pending < least {
            (least, since) = (pending, Instant::now());
        }
        assert!(since.elapsed() < PATIENCE, "{least} ends are left, and they do not become fewer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Each call is archived once; lengths, outcome and integrity are compared for all of them, bytes for every so many.
async fn judge(ground: &Ground, archive: &PostgresArchive, made: &[Small]) {
    let every = if is_soak() { 101 } else { 10 };
    let told = |exchange: &Exchange| {
        (exchange.outcome, exchange.integrity, exchange.request_bytes, exchange.response_bytes)
    };
    let mut records = HashMap::with_capacity(made.len());
    let mut before = None;
    loop {
        let request = ListRequest { before, limit: 1000, ..ListRequest::default() };
        let page = patiently(async || archive.list(request.clone()).await).await;
        before = page.exchanges.last().map(|exchange| exchange.id);
        for exchange in page.exchanges {
            assert!(records.insert(exchange.id, told(&exchange)).is_none(), "listed twice");
        }
        if !page.more {
            break;
        }
    }
    assert_eq!(records.len(), made.len());
    for Small { exchange, number, answer } in made {
        let call = small(*number);
        let record = records.get(exchange).unwrap_or_else(|| panic!("{} is not archived", call.id));
        let [entry] = &ground.engines.mock.ledger().all_by_id(&call.id)[..] else {
            panic!("{} is not in the ledger once", call.id);
        };
        assert_eq!(entry.response.blake3, *answer, "{}", call.id);
        let (asked, answered) = (call.body.len() as u64, entry.response.bytes);
        let whole = (Outcome::Completed, Integrity::Whole, asked, answered);
        assert_eq!(*record, whole, "{}", call.id);
    }
    let read = made.iter().filter(|small| small.number % every == 0).map(async |small| {
        let body = async |leg| patiently(async || archive.body(small.exchange, leg).await).await.unwrap();
        let (request, response) = (body(Leg::ClientRequest).await, body(Leg::ClientResponse).await);
        let call = self::small(small.number);
        assert_eq!((&request.bytes[..], Digest::of(&response.bytes)), (&call.body[..], small.answer));
    });
    let compared = stream::iter(read).buffer_unordered(READ_AT_ONCE).count().await;
    eprintln!("{} records compared with the ledger, {compared} of them byte for byte", records.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_million_messages_made_while_postgresql_is_stopped_leave_nats_small_and_are_all_archived() {
    let count = calls(4_000, 1_000_000);
    let mut ground =
        Ground::without_recorders("required", &[("VERBATIM_CAPTURE_LOG__MAX_BYTES", "12GiB")]).await;
    ground.recorders.iter_mut().for_each(|place| place.start(&ground.engines));
    ground.engines.postgres.stop();
    let began = Instant::now();
    let made = make_small(&ground, count).await;
    let made_in = began.elapsed();
    let log = ground.log().await;
    let health = log.health().await.unwrap();
    assert!(health.messages >= (MESSAGES_A_CALL * count) as u64, "{health:?}");
    let full = ground.engines.nats.peak_memory().unwrap();
    let began = Instant::now();
    ground.engines.postgres.restart();
    drained(&log).await;
    let drained_in = began.elapsed();
    let archive = ground.open_archive().await;
    ground.quiescence(count, &archive).await;
    let peak = ground.engines.nats.peak_memory().unwrap();
    eprintln!(
        "{} messages, {} bytes in the log; {count} calls made in {made_in:.1?}, archived in {drained_in:.1?} ({:.0}/s), at \
         rest after {:.1?}; NATS took {} MiB at most until it was full, {} MiB in the end",
        health.messages,
        health.bytes,
        count as f64 / drained_in.as_secs_f64(),
        began.elapsed(),
        full >> 20,
        peak >> 20,
    );
    assert!(peak < MEMORY, "NATS took {peak} bytes");
    judge(&ground, &archive, &made).await;
    ground.sums_agree().await;
    archive.close().await;
    log.shutdown().await;
}
