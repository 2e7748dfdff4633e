//! Load: closed (each connection calls as fast as it is answered) and open (calls are due at fixed times, and a late
//! answer counts from when its call was due).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::http::Connection;

/// What a load measured.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// Calls answered with 200.
    pub(crate) calls: u64,
    /// Time from the first call to the last answer.
    pub(crate) took: Duration,
    /// Latencies in microseconds.
    pub(crate) latencies: Histogram<u64>,
}

impl Measured {
    /// Calls a second.
    pub(crate) fn rate(&self) -> f64 {
        self.calls as f64 / self.took.as_secs_f64()
    }

    /// A quantile of the latencies, in milliseconds.
    pub(crate) fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1000.0
    }
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(60_000_000, 3)?)
}

/// `connections` connections that call for `time`.
pub(crate) async fn closed(
    address: SocketAddr,
    request: Vec<u8>,
    connections: usize,
    time: Duration,
) -> Result<Measured> {
    let request = Arc::new(request);
    let mut tasks: JoinSet<Result<Histogram<u64>>> = JoinSet::new();
    let began = Instant::now();
    for _ in 0..connections {
        let request = Arc::clone(&request);
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut latencies = histogram()?;
            while began.elapsed() < time {
                let sent = Instant::now();
                let answer = connection.call(&request).await?;
                ensure!(answer.status == 200, "status {}", answer.status);
                latencies.saturating_record(u64::try_from(sent.elapsed().as_micros())?);
            }
            Ok(latencies)
        });
    }
    gather(tasks, began).await
}

/// `rate` calls a second in all over `connections` connections, for `time`.
pub(crate) async fn open(
    address: SocketAddr,
    request: Vec<u8>,
    connections: usize,
    rate: u32,
    time: Duration,
) -> Result<Measured> {
    let request = Arc::new(request);
    let mut tasks: JoinSet<Result<Histogram<u64>>> = JoinSet::new();
    let each = Duration::from_secs_f64(connections as f64 / f64::from(rate));
    let began = Instant::now() + Duration::from_millis(50);
    for index in 0..connections {
        let request = Arc::clone(&request);
        let first = began + each.mul_f64(index as f64 / connections as f64);
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut latencies = histogram()?;
            let mut due = first;
            while due < began + time {
                tokio::time::sleep_until(due.into()).await;
                // The timer's own grain (1 ms) is not the relay's: a call that is sent late by less counts from then.
                let sent = Instant::now();
                let from = if sent.duration_since(due) > Duration::from_millis(5) { due } else { sent };
                let answer = connection.call(&request).await?;
                ensure!(answer.status == 200, "status {}", answer.status);
                latencies.saturating_record(u64::try_from(from.elapsed().as_micros())?);
                due += each;
            }
            Ok(latencies)
        });
    }
    gather(tasks, began).await
}

async fn gather(mut tasks: JoinSet<Result<Histogram<u64>>>, began: Instant) -> Result<Measured> {
    let mut latencies = histogram()?;
    while let Some(joined) = tasks.join_next().await {
        latencies.add(joined??)?;
    }
    Ok(Measured { calls: latencies.len(), took: began.elapsed(), latencies })
}
