//! The roles on NATS and PostgreSQL: a backlog drained, everything at once, memory. Each has engines of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use super::Bench;
use crate::http::{Connection, post};
use crate::report::Report;
use crate::scale_out::Engines;
use crate::targets::{Mock, call_1k};
use crate::{load, machine};

const CONNECTIONS: usize = 32;
/// Calls a second that are to be archived as they come.
/// Calls a second that are to be archived, and what is offered for that.
const BUDGET: u32 = 3_000;
const RATE: u32 = BUDGET + BUDGET / 20;
const STREAMS: usize = 1_000;
const LONG_BODIES: usize = 20;
const LONG_BODY: usize = 50_000_000;

/// What is drained: a recorder that begins once all calls were answered.
pub(crate) async fn drained(bench: &Bench, report: &mut Report) -> Result<()> {
    let mock = Mock::start(&bench.binaries).await?;
    let engines = Engines::start(&bench.binaries, mock.address).await?;
    let (gateway, address) = engines.role(&bench.binaries, "gateway").await?;
    let mut calls = 0;
    while calls < bench.backlog {
        calls += load::closed(address, call_1k(), CONNECTIONS, bench.time).await?.calls;
    }
    // It ends once all that it captured is in the log.
    gateway.stop()?;
    let began = Instant::now();
    let (recorder, _) = engines.role(&bench.binaries, "recorder").await?;
    engines.wait_archived(calls).await?;
    let took = began.elapsed();
    let whole = engines.archived_where("outcome = 1 AND integrity = 0")?;
    let rate = calls as f64 / took.as_secs_f64();
    report.budget(
        "recorder draining a backlog from NATS into PostgreSQL",
        format!("{rate:.0}/s: {calls} in {:.1} s, its start included; {whole} whole", took.as_secs_f64()),
        ">= 8,000/s",
        rate >= 8_000.0 && whole == calls,
    );
    let peak = machine::peak_mib(recorder.id())?;
    report.budget("recorder, peak memory meanwhile", format!("{peak:.0} MiB"), "<= 256 MiB", peak <= 256.0);
    recorder.stop()
}

/// Load, mock provider, gateway, NATS, recorder and PostgreSQL on one machine.
pub(crate) async fn at_once(bench: &Bench, report: &mut Report) -> Result<()> {
    let mock = Mock::start(&bench.binaries).await?;
    let engines = Engines::start(&bench.binaries, mock.address).await?;
    let (gateway, address) = engines.role(&bench.binaries, "gateway").await?;
    let (recorder, _) = engines.role(&bench.binaries, "recorder").await?;
    // Connections are made and partitions are there before anything is timed.
    let mut calls = load::open(address, call_1k(), CONNECTIONS, BUDGET / 2, bench.time).await?.calls;
    engines.wait_archived(calls).await?;
    let direct = load::open(mock.address, call_1k(), CONNECTIONS, BUDGET / 2, bench.time).await?;
    let half = load::open(address, call_1k(), CONNECTIONS, BUDGET / 2, bench.time * 2).await?;
    calls += half.calls;
    engines.wait_archived(calls).await?;
    let added = half.quantile_ms(0.99) - direct.quantile_ms(0.99);
    report.budget(
        &format!("latency added at {} calls/s by the roles on 2 cores, p99", BUDGET / 2),
        format!("{added:.2} ms"),
        "<= 5 ms",
        added <= 5.0,
    );

    let time = bench.time * 12;
    let paced = load::open(address, call_1k(), CONNECTIONS, RATE, time).await?;
    calls += paced.calls;
    let ended = Instant::now();
    engines.wait_archived(calls).await?;
    let behind = ended.elapsed();
    let whole = engines.archived_where("outcome = 1 AND integrity = 0")?;
    let rate = paced.calls as f64 / (paced.took + behind).as_secs_f64();
    report.budget(
        &format!("everything at once, {RATE} calls/s offered for {} s", time.as_secs()),
        format!(
            "{:.0}/s relayed, {rate:.0}/s archived, all {} of them; archive done {:.1} s after the last call; p99 {:.2} ms",
            paced.rate(),
            paced.calls,
            behind.as_secs_f64(),
            paced.quantile_ms(0.99)
        ),
        ">= 3,000/s archived, nothing lost",
        rate >= f64::from(BUDGET) && whole == calls,
    );
    let peak = machine::peak_mib(recorder.id())?;
    report.budget(
        "recorder, peak memory at that rate",
        format!("{peak:.0} MiB"),
        "<= 256 MiB",
        peak <= 256.0,
    );
    gateway.stop()?;
    recorder.stop()
}

/// What a gateway holds with many streams open.
pub(crate) async fn many_streams(bench: &Bench, report: &mut Report) -> Result<()> {
    let mock = Mock::start(&bench.binaries).await?;
    let engines = Engines::start(&bench.binaries, mock.address).await?;
    let (gateway, address) = engines.role(&bench.binaries, "gateway").await?;
    let (recorder, _) = engines.role(&bench.binaries, "recorder").await?;
    let body = serde_json::json!({"model": "gpt-4o-mini", "stream": true,
        "messages": [{"role": "user", "content": "Slowly, please."}]});
    let request = post("/v1/chat/completions", &["x-mock: chunks=40; chunk-delay=250ms"], &body.to_string());
    let mut tasks = JoinSet::new();
    for _ in 0..STREAMS {
        let request = request.clone();
        tasks.spawn(async move { Connection::open(address).await?.call(&request).await });
    }
    // The streams take ten seconds: after six all are open and none has ended.
    let mut resident = 0.0_f64;
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        resident = resident.max(machine::resident_mib(gateway.id())?);
    }
    let open = tasks.len();
    while let Some(joined) = tasks.join_next().await {
        joined??;
    }
    report.budget(
        &format!("gateway, memory with {open} open streams"),
        format!("{resident:.0} MiB"),
        "<= 128 MiB",
        resident <= 128.0,
    );
    engines.wait_archived(open as u64).await?;
    gateway.stop()?;
    recorder.stop()
}

/// What gateway and recorder hold with many long bodies at once: of the same few digits, which messages and blocks pack to
/// nothing; then of what is never the same twice, as pictures are, and answered at the same length.
pub(crate) async fn long_bodies(bench: &Bench, report: &mut Report) -> Result<()> {
    let digits = Arc::new(long_call(&"0123456789".repeat(LONG_BODY / 10), &[]));
    exchange_at_once(bench, report, "best_effort", vec![digits; LONG_BODIES]).await?;
    let answer = format!("x-mock: size={LONG_BODY}");
    let calls = (1..=LONG_BODIES as u64).map(|seed| Arc::new(long_call(&letters(seed), &[&answer])));
    exchange_at_once(bench, report, "required", calls.collect()).await
}

fn long_call(content: &str, headers: &[&str]) -> Vec<u8> {
    let body =
        serde_json::json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}]});
    post("/v1/chat/completions", headers, &body.to_string())
}

/// A long text in the letters of base64, another for each seed that is not 0 (xorshift64, Marsaglia 2003).
fn letters(seed: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let letter = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(LETTERS[(state >> 58) as usize])
    };
    (0..LONG_BODY).map(letter).collect()
}

async fn exchange_at_once(
    bench: &Bench,
    report: &mut Report,
    capture: &str,
    calls: Vec<Arc<Vec<u8>>>,
) -> Result<()> {
    let mock = Mock::start(&bench.binaries).await?;
    let mut engines = Engines::start(&bench.binaries, mock.address).await?;
    engines.set("VERBATIM_GATEWAY__CAPTURE", capture);
    let (gateway, address) = engines.role(&bench.binaries, "gateway").await?;
    let (recorder, _) = engines.role(&bench.binaries, "recorder").await?;
    let mut tasks = JoinSet::new();
    for call in calls {
        tasks.spawn(async move { Connection::open(address).await?.call(&call).await });
    }
    while let Some(joined) = tasks.join_next().await {
        ensure!(joined??.status == 200, "a long body was not answered");
    }
    let bodies = match capture {
        "required" => format!(
            "{LONG_BODIES} bodies of {} MB asked and answered at once, no two alike, capture required",
            LONG_BODY / 1_000_000
        ),
        _ => format!("{LONG_BODIES} bodies of {} MB at once", LONG_BODY / 1_000_000),
    };
    let peak = machine::peak_mib(gateway.id())?;
    report.budget(
        &format!("gateway, peak memory with {bodies}"),
        format!("{peak:.0} MiB"),
        "<= 400 MiB",
        peak <= 400.0,
    );
    engines.wait_archived_where("outcome = 1", LONG_BODIES as u64).await?;
    let damaged = engines.archived_where("integrity = 2")?;
    let peak = machine::peak_mib(recorder.id())?;
    report.budget(
        &format!("recorder, peak memory with {bodies}"),
        format!("{peak:.0} MiB; {damaged} damaged"),
        "<= 256 MiB",
        peak <= 256.0 && damaged == 0,
    );
    gateway.stop()?;
    recorder.stop()
}
