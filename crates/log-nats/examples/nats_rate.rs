//! How fast the log is, against a `nats-server` of its own on this machine.
//!
//! `cargo run --release -p verbatim-log-nats --example nats_rate [EXCHANGES]`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for people")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{CaptureLog, Consumer, Message, MessageKind, PullLimit, Sequence};
use verbatim_log_nats::{Config, NatsLog};
use verbatim_testkit::NatsServer;

/// As many appends are under way as a gateway has.
const APPENDS: usize = 4;
const BATCH: usize = 256;
/// As many batches are under way as a recorder has.
const BATCHES: usize = 3;
const PAYLOAD: usize = 1024;
const GATEWAYS: usize = 4;
const SCANNED: usize = 20_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let exchanges =
        std::env::args().nth(1).map_or(200_000, |count| count.parse().expect("a number of exchanges"));
    let server = NatsServer::start("").await;
    let log = Arc::new(NatsLog::connect(Config::new([server.url()])).await.unwrap());
    let starts = append(&log, exchanges).await;
    read_ends(&log, exchanges).await;
    read_starts(&log, starts).await;
    scan(&log).await;
    purge(&log, exchanges).await;
    log.shutdown().await;
}

fn report(what: &str, count: usize, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    println!("{what}: {count} in {seconds:.2} s, {:.0} a second", count as f64 / seconds);
}

/// Starts and, once these are acknowledged, their ends; gives where the starts stand.
async fn append(log: &Arc<NatsLog>, exchanges: usize) -> Vec<Sequence> {
    let (began, mut tasks) = (Instant::now(), JoinSet::new());
    for task in 0..APPENDS {
        let log = Arc::clone(log);
        tasks.spawn(async move {
            let (gateway, payload) =
                (format!("gateway-{}", task % GATEWAYS), Bytes::from(vec![b'x'; PAYLOAD]));
            let mut starts = Vec::new();
            for _ in 0..exchanges / APPENDS / BATCH {
                let ids: Vec<_> = (0..BATCH).map(|_| ExchangeId::mint()).collect();
                let messages = |kind| {
                    let (gateway, payload) = (&gateway, &payload);
                    let message = move |exchange: &ExchangeId| Message {
                        kind,
                        gateway: gateway.clone(),
                        exchange: *exchange,
                        payload: payload.clone(),
                    };
                    ids.iter().map(message).collect::<Vec<_>>()
                };
                starts.extend(log.append(messages(MessageKind::Start)).await.into_iter().map(Result::unwrap));
                for result in log.append(messages(MessageKind::End)).await {
                    result.unwrap();
                }
            }
            starts
        });
    }
    let starts = tasks.join_all().await.concat();
    report("exchanges appended, start and end acknowledged", starts.len(), began);
    starts
}

async fn read_ends(log: &Arc<NatsLog>, exchanges: usize) {
    let (began, mut tasks) = (Instant::now(), JoinSet::new());
    let limit = PullLimit { messages: BATCH, bytes: 6 << 20, wait: Duration::from_millis(500) };
    let (mut count, mut pulls) = (0, 0);
    loop {
        while tasks.len() >= BATCHES {
            tasks.join_next().await;
        }
        let deliveries = log.next(Consumer::Recorder, limit).await.unwrap();
        if deliveries.is_empty() {
            break;
        }
        (count, pulls) = (count + deliveries.len(), pulls + 1);
        let log = Arc::clone(log);
        tasks.spawn(async move {
            let places: Vec<_> = deliveries.iter().map(|delivery| delivery.sequence).collect();
            log.acknowledge(Consumer::Recorder, &places).await.unwrap();
        });
        if count >= exchanges / APPENDS / BATCH * APPENDS * BATCH {
            break;
        }
    }
    tasks.join_all().await;
    report("ends read and acknowledged", count, began);
    println!("  {} a pull; floors {:?}", count / pulls.max(1), log.floors().await.unwrap());
}

async fn read_starts(log: &Arc<NatsLog>, starts: Vec<Sequence>) {
    let (began, mut tasks, count) = (Instant::now(), JoinSet::new(), starts.len());
    for batch in starts.chunks(BATCH) {
        while tasks.len() >= BATCHES {
            tasks.join_next().await;
        }
        let (log, batch) = (Arc::clone(log), batch.to_vec());
        tasks.spawn(async move {
            assert!(log.read(&batch).await.unwrap().iter().all(Option::is_some));
        });
    }
    tasks.join_all().await;
    report("messages read by sequence", count, began);
}

async fn scan(log: &Arc<NatsLog>) {
    let (began, mut from, mut count) = (Instant::now(), 0, 0);
    while count < SCANNED {
        let page = log.scan("gateway-0", from, Sequence::MAX >> 1, 512, 8 << 20).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        (from, count) = (last + 1, count + page.len());
    }
    report("messages scanned of one gateway", count, began);
    let began = Instant::now();
    assert!(log.scan("nobody", 0, Sequence::MAX >> 1, 512, 8 << 20).await.unwrap().is_empty());
    report("scans of a gateway that wrote nothing", 1, began);
}

async fn purge(log: &Arc<NatsLog>, exchanges: usize) {
    let floors = log.floors().await.unwrap();
    let began = Instant::now();
    log.purge(floors.last / 2).await.unwrap();
    report("messages purged", exchanges, began);
}
