//! Makes calls and remembers exactly what came back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::task::JoinSet;

use super::calls::{Call, Kind, LONGEST};

/// What the client saw of one call.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The call.
    pub(crate) call: Call,
    /// When it began and ended.
    pub(crate) began: Instant,
    /// When it was over for the client.
    pub(crate) ended: Instant,
    /// The status, if a head came.
    pub(crate) status: Option<u16>,
    /// The exchange's id, if a head came.
    pub(crate) exchange: Option<String>,
    /// The body's bytes as far as they came.
    pub(crate) body: Vec<u8>,
    /// Whether the body came to a regular end.
    pub(crate) complete: bool,
}

/// A client whose connections are its own and that undoes no compression.
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().read_timeout(LONGEST).build().unwrap()
}

/// Makes one call.
pub(crate) async fn make(http: &reqwest::Client, gateway: &str, call: Call) -> Seen {
    let mut request = http
        .post(format!("{gateway}{}", call.path))
        .header("x-mock-id", &call.id)
        .header("authorization", "Bearer sk-fault-test-0123456789")
        .body(call.body.clone());
    if !call.headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in &call.headers {
        request = request.header(*name, value);
    }
    let began = Instant::now();
    let mut seen =
        Seen { call, began, ended: began, status: None, exchange: None, body: Vec::new(), complete: false };
    if let Ok(mut response) = request.send().await {
        seen.status = Some(response.status().as_u16());
        seen.exchange =
            response.headers().get("x-verbatim-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => seen.body.extend_from_slice(&chunk),
                Ok(None) => {
                    seen.complete = true;
                    break;
                }
                Err(_) => break,
            }
            if let Kind::Leave { after } = seen.call.kind
                && seen.body.len() >= after
            {
                break;
            }
        }
    }
    seen.ended = Instant::now();
    seen
}

/// Makes calls over `connections` at once; `done` counts those that are over.
pub(crate) async fn make_all(
    gateway: &str,
    calls: Vec<Call>,
    connections: usize,
    done: Arc<AtomicUsize>,
) -> Vec<Seen> {
    let calls = Arc::new(calls);
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        let (calls, next, done, gateway) =
            (Arc::clone(&calls), Arc::clone(&next), Arc::clone(&done), gateway.to_owned());
        workers.spawn(async move {
            let http = http();
            let mut all = Vec::new();
            while let Some(call) = calls.get(next.fetch_add(1, Ordering::Relaxed)) {
                wait_for_relay(&gateway).await;
                all.push(make(&http, &gateway, call.clone()).await);
                done.fetch_add(1, Ordering::Relaxed);
            }
            all
        });
    }
    workers.join_all().await.into_iter().flatten().collect()
}

/// Between a kill and the restart nobody listens: a call would be refused by the kernel and prove nothing.
async fn wait_for_relay(gateway: &str) {
    let address = gateway.trim_start_matches("http://");
    while tokio::net::TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
