//! Answers that take long, and bodies that are large.

use std::time::{Duration, Instant};

use verbatim_core::model::Outcome;
use verbatim_core::ports::{Archive, CaptureLog, ListRequest};
use verbatim_testkit::peak_memory;

use crate::calls::{Call, Kind, large};
use crate::ground::{Ground, calls, is_soak};
use crate::verdict::patiently;

const STREAMS: usize = 24;
const BODIES: usize = 20;

/// An exchange is written while it runs once it has run for five minutes.
const PATIENCE: Duration = Duration::from_secs(450);

/// What a gateway may take of the memory for large bodies.
const GATEWAY_MEMORY: u64 = 400 << 20;

fn long_stream(number: usize) -> Call {
    let body = serde_json::json!({"model": "gpt-4o-mini", "stream": true,
        "messages": [{"role": "user", "content": format!("a long story, number {number}")}]});
    // Ten minutes in full length.
    let (chunks, delay) = (calls(60, 600), if is_soak() { "1s" } else { "50ms" });
    Call {
        id: format!("long-{number}"),
        path: "/v1/chat/completions",
        headers: vec![("x-mock", format!("chunks={chunks}; flush; chunk-delay={delay}"))],
        body: body.to_string().into_bytes(),
        kind: Kind::Whole,
    }
}

/// Waits until every stream has begun. In full length, until each was written to the archive while it runs.
async fn under_way(ground: &Ground) {
    let (archive, log, began) = (ground.open_archive().await, ground.log().await, Instant::now());
    loop {
        let begun = if is_soak() {
            let request = ListRequest { limit: STREAMS, ..ListRequest::default() };
            let page = patiently(async || archive.list(request.clone()).await).await;
            let runs = |outcome| outcome == Outcome::Running;
            page.exchanges
                .iter()
                .filter(|exchange| runs(exchange.outcome) && exchange.response_bytes > 0)
                .count()
        } else {
            log.health().await.map_or(0, |health| health.messages as usize)
        };
        if begun >= STREAMS {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "only {begun} of {STREAMS} streams are under way");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    archive.close().await;
    log.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn streams_of_ten_minutes_are_whole_though_recorders_and_nats_are_killed_meanwhile() {
    let mut ground =
        Ground::without_recorders("required", &[("VERBATIM_GATEWAY__TIMEOUTS__TOTAL", "1h")]).await;
    ground.recorders.iter_mut().for_each(|recorder| recorder.start(&ground.engines));
    let load = ground.begin_with((0..STREAMS).map(long_stream).collect());
    under_way(&ground).await;
    for recorder in &mut ground.recorders {
        recorder.kill();
    }
    ground.engines.nats.kill();
    ground.engines.nats.restart().await;
    ground.recorders.iter_mut().for_each(|recorder| recorder.start(&ground.engines));
    let seen = load.finish().await;
    assert!(seen.iter().flatten().all(|seen| seen.complete), "a stream was cut");
    ground.all_is_there(&seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_bodies_of_50_mb_at_once_are_archived_whole_in_little_memory() {
    let ground = Ground::new("required").await;
    let bytes = calls(2_000_000, 50_000_000);
    let calls = (0..BODIES).map(|number| large("fifty", number, bytes)).collect();
    let seen = ground.begin_with(calls).finish().await;
    ground.all_is_there(&seen).await;
    for gateway in &ground.gateways {
        let peak = peak_memory(gateway.id()).unwrap();
        eprintln!("a gateway took {} MiB at most", peak >> 20);
        assert!(peak < GATEWAY_MEMORY, "{peak} bytes");
    }
    for recorder in &ground.recorders {
        eprintln!("a recorder took {} MiB at most", peak_memory(recorder.id()).unwrap() >> 20);
    }
}
