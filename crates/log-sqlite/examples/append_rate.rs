//! How fast the log takes messages, and what that costs the disk and the processor.
//!
//! `cargo run --release -p verbatim-log-sqlite --example append_rate -- [seconds] [callers] [exchanges a call] [readers] [rate] [interval]`
//!
//! Each call appends the `start` and the `end`, 1.5 KB each, of so many exchanges. With `readers` = 1, a recorder and a
//! watch keep up with it and what both have read is purged every second, as in the embedded capture log.
//! `rate` is exchanges a second in all, 0: as many as go; `interval` the commit interval in milliseconds.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{CaptureLog, Consumer, Message, MessageKind, PortResult, PullLimit};
use verbatim_log_sqlite::{Config, SqliteLog};

const PAYLOAD_BYTES: usize = 1500;
const GATEWAY: &str = "01938a4e-7b1e-7f02-9c1d-5a0b6c1f2e77";

#[tokio::main(worker_threads = 2)]
async fn main() -> PortResult<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let mut argument = |otherwise| arguments.next().and_then(Result::ok).unwrap_or(otherwise);
    let (seconds, callers, exchanges, readers) = (argument(10), argument(64), argument(8), argument(0));
    let pace = match argument(0) {
        0 => Duration::ZERO,
        rate => Duration::from_secs(callers * exchanges) / u32::try_from(rate).unwrap_or(u32::MAX),
    };

    let directory = std::env::temp_dir().join(format!("append-rate-{}", std::process::id()));
    let mut config = Config::new(&directory);
    config.commit_interval = Duration::from_millis(argument(10));
    let log = Arc::new(SqliteLog::open(config).await?);
    let stop = Arc::new(AtomicBool::new(false));
    let (written, read) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (before, began) = (Cost::now(), Instant::now());
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        // Not all at once.
        let first = tokio::time::Instant::now() + pace.mul_f64(caller as f64 / callers as f64);
        let ticks = (pace > Duration::ZERO).then(|| tokio::time::interval_at(first, pace));
        tasks.spawn(call(log.clone(), stop.clone(), written.clone(), exchanges, ticks));
    }
    if readers > 0 {
        tasks.spawn(record(log.clone(), stop.clone(), read.clone()));
        tasks.spawn(watch(log.clone(), stop.clone()));
        tasks.spawn(purge(log.clone(), stop.clone()));
    }
    let mut peak = 0;
    for _ in 0..seconds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        peak = peak.max(log.health().await?.messages);
    }
    stop.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    let (took, messages) = (began.elapsed(), written.load(Ordering::Relaxed));
    log.shutdown().await?;
    let cost = Cost::now().since(&before);
    let payload = messages as f64 * PAYLOAD_BYTES as f64;
    println!(
        "{:.0} messages/s, {} a call from {callers} callers",
        messages as f64 / took.as_secs_f64(),
        exchanges * 2
    );
    println!("{:.2} bytes written for each byte of payload", cost.bytes / payload);
    println!(
        "{:.1} us of processor a message (generating it included)",
        cost.cpu.as_secs_f64() * 1e6 / messages as f64
    );
    println!("{} exchanges recorded, {peak} messages waiting at most", read.load(Ordering::Relaxed));
    let began = Instant::now();
    let log = SqliteLog::open(Config::new(&directory)).await?;
    println!("{} messages left, opened again in {:?}", log.health().await?.messages, began.elapsed());
    log.shutdown().await?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
    std::fs::remove_dir_all(&directory)
        .map_err(|error| verbatim_core::ports::PortError::transient("tidy up", error))
}

async fn call(
    log: Arc<SqliteLog>,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    exchanges: u64,
    mut ticks: Option<tokio::time::Interval>,
) {
    let payload: Bytes =
        (0..PAYLOAD_BYTES as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    while !stop.load(Ordering::Relaxed) {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        let messages = (0..exchanges).flat_map(|_| {
            let exchange = ExchangeId::mint();
            [MessageKind::Start, MessageKind::End].map(|kind| {
                let gateway = GATEWAY.to_owned();
                // A copy each, as encoding makes one.
                Message { kind, gateway, exchange, payload: Bytes::copy_from_slice(&payload) }
            })
        });
        let results = log.append(messages.collect()).await;
        written.fetch_add(results.iter().filter(|result| result.is_ok()).count() as u64, Ordering::Relaxed);
    }
}

async fn record(log: Arc<SqliteLog>, stop: Arc<AtomicBool>, read: Arc<AtomicU64>) {
    let limit = PullLimit { messages: 256, bytes: 4 << 20, wait: Duration::from_millis(100) };
    while let Ok(ends) = log.next(Consumer::Recorder, limit).await {
        if ends.is_empty() && stop.load(Ordering::Relaxed) {
            break;
        }
        let sequences: Vec<_> = ends.iter().map(|end| end.sequence).collect();
        // Each `end` here stands behind its `start`.
        let starts: Vec<_> = sequences.iter().map(|sequence| sequence - 1).collect();
        let found = log.read(&starts).await.unwrap_or_default();
        read.fetch_add(found.into_iter().flatten().count() as u64, Ordering::Relaxed);
        let _ = log.acknowledge(Consumer::Recorder, &sequences).await;
    }
}

async fn watch(log: Arc<SqliteLog>, stop: Arc<AtomicBool>) {
    let limit = PullLimit { messages: 4096, bytes: 4 << 20, wait: Duration::from_millis(100) };
    while let Ok(starts) = log.next(Consumer::Watch, limit).await {
        if starts.is_empty() && stop.load(Ordering::Relaxed) {
            break;
        }
        let sequences: Vec<_> = starts.iter().map(|start| start.sequence).collect();
        let _ = log.acknowledge(Consumer::Watch, &sequences).await;
    }
}

async fn purge(log: Arc<SqliteLog>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Ok(floors) = log.floors().await {
            let _ = log.purge(floors.recorder.min(floors.watch) + 1).await;
        }
    }
}

/// What this process has used so far.
struct Cost {
    bytes: f64,
    cpu: Duration,
}

impl Cost {
    fn now() -> Self {
        let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
        let bytes =
            io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0.0);
        // User and system time, in ticks of 10 ms, are the 14th and 15th; the name before may hold blanks.
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
        Self { bytes, cpu: Duration::from_millis(ticks * 10) }
    }

    fn since(&self, before: &Self) -> Self {
        Self { bytes: self.bytes - before.bytes, cpu: self.cpu.saturating_sub(before.cpu) }
    }
}
