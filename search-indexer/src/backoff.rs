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
    let mut told: Option<String> = None;
    loop {
        let error = match attempt().await {
            Err(error) if error.is_transient() => error.to_string(),
            done => {
                if told.is_some() {
                    tracing::info!("no longer waiting to {doing}");
                }
                return Ok(done?);
            }
        };
        measure::failed(doing);
        if told.as_ref() != Some(&error) {
            tracing::warn!(error, "could not {doing}: trying again");
            told = Some(error);
        }
        let wait = waits.next().unwrap_or(longest);
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
