//! Waiting out failures that may pass.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::PortResult;

use crate::{IndexerConfig, IndexerError, measure};

/// Tries until it works, fails in a way that waiting does not mend, or is told to stop.
pub(crate) async fn until_done<T, F>(
    config: &IndexerConfig,
    token: &CancellationToken,
    doing: &'static str,
    mut attempt: impl FnMut() -> F,
) -> Result<T, IndexerError>
where
    F: Future<Output = PortResult<T>>,
{
    let (shortest, longest) = config.backoff;
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(shortest)
        .with_max_delay(longest)
        .without_max_times()
        .with_jitter()
        .build();
    loop {
        let error = match attempt().await {
            Err(error) if error.is_transient() => error,
            done => return Ok(done?),
        };
        measure::failed(doing);
        let wait = waits.next().unwrap_or(longest);
        tracing::warn!(%error, ?wait, "could not {doing}: trying again");
        sleep(token, wait).await?;
    }
}

/// Waits, unless it is told to stop meanwhile.
pub(crate) async fn sleep(token: &CancellationToken, wait: Duration) -> Result<(), IndexerError> {
    tokio::select! {
        () = tokio::time::sleep(wait) => Ok(()),
        () = token.cancelled() => Err(IndexerError::Stopped),
    }
}
