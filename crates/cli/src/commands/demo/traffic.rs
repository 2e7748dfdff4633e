//! Sends sample traffic through the relay, at the pace of a small company.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use verbatim_mock_provider::demo::{SampleCall, Scenario, scenarios};

use crate::client::Client;

/// Sessions that go on side by side; the next one waits.
const SIDE_BY_SIDE: usize = 8;
/// Longer than any sample answer takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Goes on until told to stop; what is under way then is left.
pub(super) async fn send(gateway: String, token: CancellationToken) -> Result<()> {
    let client = Client::new(PATIENCE)?;
    let mut sessions = JoinSet::new();
    for scenario in scenarios(rand::random()) {
        let pause = scenario.next_after;
        sessions.spawn(hold(client.clone(), gateway.clone(), scenario));
        let ready = async {
            sleep(pause).await;
            while sessions.len() >= SIDE_BY_SIDE {
                sessions.join_next().await;
            }
            while sessions.try_join_next().is_some() {}
        };
        if token.run_until_cancelled(ready).await.is_none() {
            break;
        }
    }
    sessions.shutdown().await;
    Ok(())
}

/// One session: each call once the one before has ended.
async fn hold(client: Client, gateway: String, scenario: Scenario) {
    for call in scenario.calls {
        sleep(call.pause).await;
        let sent = match call.leave_after {
            // The program leaves in the middle of the answer.
            Some(after) => timeout(after, read(&client, &gateway, &call)).await.unwrap_or(Ok(())),
            None => read(&client, &gateway, &call).await,
        };
        if let Err(error) = sent {
            tracing::debug!("sample call: {error:#}");
        }
    }
}

/// Sends a call and reads the answer to its end, without keeping it.
async fn read(client: &Client, gateway: &str, call: &SampleCall) -> Result<()> {
    let mut request = Request::builder().method(call.method).uri(format!("{gateway}{}", call.path));
    for (name, value) in &call.headers {
        request = request.header(*name, value);
    }
    let answer = client.send(request.body(Full::new(Bytes::from(call.body.clone())))?).await?;
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(())
}
