//! The roles on NATS and PostgreSQL: a backlog drained, everything at once, memory, and lists of what was archived.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::Bench;
use crate::http::{Connection, post};
use crate::report::Report;
use crate::scale_out::Engines;
use crate::targets::{Mock, call_1k, get_json};
use crate::{load, machine};

const CONNECTIONS: usize = 32;
/// Calls a second that are to be archived as they come.
const RATE: u32 = 3_000;
const STREAMS: usize = 1_000;
const LONG_BODIES: usize = 20;
const LONG_BODY: usize = 50_000_000;
/// Requests of each list that is timed.
const LOOKS: usize = 40;

/// What is drained: a recorder that begins once all calls were answered.
pub(crate) async fn scale_out(bench: &Bench, report: &mut Report) -> Result<()> {
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
        rate >= 8_000.0,
    );
    let peak = machine::peak_mib(recorder.id())?;
    report.budget("recorder, peak memory meanwhile", format!("{peak:.0} MiB"), "<= 256 MiB", peak <= 256.0);

    lists(bench, &engines, report, calls).await?;

    let (gateway, address) = engines.role(&bench.binaries, "gateway").await?;
    let direct = load::open(mock.address, call_1k(), CONNECTIONS, RATE / 2, bench.time).await?;
    let half = load::open(address, call_1k(), CONNECTIONS, RATE / 2, bench.time * 2).await?;
    calls += half.calls;
    engines.wait_archived(calls).await?;
    let added = half.quantile_ms(0.99) - direct.quantile_ms(0.99);
    report.budget(
        &format!("latency added at {} calls/s by the roles on 2 cores, p99", RATE / 2),
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
    let rate = paced.calls as f64 / (paced.took + behind).as_secs_f64();
    report.budget(
        &format!("everything at once, {RATE} calls/s offered for {} s", time.as_secs()),
        format!(
            "{:.0}/s relayed, {rate:.0}/s archived, all {} of them; archive done {:.1} s after the last call",
            paced.rate(),
            paced.calls,
            behind.as_secs_f64()
        ),
        ">= 3,000/s archived, nothing lost",
        rate >= f64::from(RATE) * 0.98,
    );
    gateway.stop()?;
    calls += memory(bench, &engines, report).await?;
    engines.wait_archived(calls).await?;
    recorder.stop()
}

/// Pages of the list, and of filtered ones, over all that is archived.
async fn lists(bench: &Bench, engines: &Engines, report: &mut Report, exchanges: u64) -> Result<()> {
    let (web, address) = engines.role(&bench.binaries, "web").await?;
    // It answers probes alone until it has its engines.
    let began = Instant::now();
    while get_json(address, "/api/v1/exchanges?limit=1").await.is_err() {
        ensure!(began.elapsed() < Duration::from_secs(60), "the dashboard does not get its engines");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (what, query) in [
        ("list page", ""),
        ("filtered by model", "&q=model:gpt-4o-mini"),
        ("filtered by status and tokens", "&q=status:200+tokens:%3E10"),
        ("filtered, nothing matches", "&q=model:no-such-model"),
    ] {
        let mut times = Histogram::<u64>::new_with_max(60_000_000, 3)?;
        for _ in 0..LOOKS {
            let began = Instant::now();
            let page = get_json(address, &format!("/api/v1/exchanges?limit=50{query}")).await?;
            times.saturating_record(u64::try_from(began.elapsed().as_micros())?);
            ensure!(page["items"].is_array(), "{page}");
        }
        let p95 = times.value_at_quantile(0.95) as f64 / 1_000.0;
        report.budget(
            &format!("{what} over {exchanges} exchanges on PostgreSQL, p95"),
            format!("{p95:.1} ms"),
            "<= 100 ms",
            p95 <= 100.0,
        );
    }
    web.stop()
}

/// What a gateway of its own holds with many streams open, and with many long bodies; gives the number of its calls.
async fn memory(bench: &Bench, engines: &Engines, report: &mut Report) -> Result<u64> {
    let (gateway, address) = engines.role(&bench.binaries, "gateway").await?;
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
    gateway.stop()?;

    let (gateway, address) = engines.role(&bench.binaries, "gateway").await?;
    let body = serde_json::json!({"model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "0123456789".repeat(LONG_BODY / 10)}]});
    let request = std::sync::Arc::new(post("/v1/chat/completions", &[], &body.to_string()));
    for _ in 0..LONG_BODIES {
        let request = std::sync::Arc::clone(&request);
        tasks.spawn(async move { Connection::open(address).await?.call(&request).await });
    }
    while let Some(joined) = tasks.join_next().await {
        ensure!(joined??.status == 200, "a long body was not answered");
    }
    let peak = machine::peak_mib(gateway.id())?;
    report.budget(
        &format!("gateway, peak memory with {LONG_BODIES} bodies of {} MB at once", LONG_BODY / 1_000_000),
        format!("{peak:.0} MiB"),
        "<= 400 MiB",
        peak <= 400.0,
    );
    gateway.stop()?;
    Ok((STREAMS + LONG_BODIES) as u64)
}
