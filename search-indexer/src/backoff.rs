//! Waiting out failures that may pass.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::PortResult;

use crate::{IndexerConfig, IndexerError, measure};

/// What is under way may go on for so long once it is told to stop. An index that has much to do answers late, and whoever
/// runs this process does not wait for it: what is left is done by the next one, as if this one had been killed.
const LAST: Duration = Duration::from_secs(10);
/// What lasts is told again so often: somebody may have to mend it.
const AGAIN: Duration = Duration::from_secs(60);

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
    let mut told: Option<(String, Instant)> = None;
    loop {
        let done = tokio::select! {
            done = attempt() => done,
            () = overdue(token) => {
                tracing::warn!("was told to stop before it could {doing}: leaving that to the next");
                return Err(IndexerError::Stopped);
            }
        };
        let error = match done {
            Err(error) if error.is_transient() => error.to_string(),
            done => {
                if told.is_some() {
                    tracing::info!("no longer waiting to {doing}");
                }
                return Ok(done?);
            }
        };
        measure::failed(doing);
        if told.as_ref().is_none_or(|(before, at)| *before != error || at.elapsed() >= AGAIN) {
            tracing::warn!(error, "could not {doing}: trying again");
            told = Some((error, Instant::now()));
        }
        let wait = waits.next().unwrap_or(longest);
        sleep(token, wait).await?;
    }
}

async fn overdue(token: &CancellationToken) {
    token.cancelled().await;
    tokio::time::sleep(LAST).await;
}

/// Waits, unless it is told to stop meanwhile.
pub(crate) async fn sleep(token: &CancellationToken, wait: Duration) -> Result<(), IndexerError> {
    tokio::select! {
        () = tokio::time::sleep(wait) => Ok(()),
        () = token.cancelled() => Err(IndexerError::Stopped),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_never_ends_is_left_a_while_after_it_was_told_to_stop_and_not_before() {
        let (config, token) = (IndexerConfig::default(), CancellationToken::new());
        let work = until_done(&config, &token, "write", pending::<PortResult<()>>);
        tokio::pin!(work);
        let early = tokio::time::timeout(10 * LAST, &mut work).await;
        assert!(early.is_err(), "nobody told it to stop");
        token.cancel();
        let early = tokio::time::timeout(LAST / 2, &mut work).await;
        assert!(early.is_err(), "it had time left");
        assert!(matches!(work.await, Err(IndexerError::Stopped)));
    }
}
