//! Making the index anew from the archive.

use futures_util::stream::{self, Stream, StreamExt, select_all};
use tokio_util::sync::CancellationToken;

use crate::backoff::until_done;
use crate::pass::pass;
use crate::{IndexerConfig, IndexerError, Ports};

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Exchanges worked off, those included that were committed meanwhile.
    pub done: u64,
    /// Exchanges that the archive had when the rebuild began.
    pub total: u64,
}

/// Makes the index anew: every record of the archive is derived and written again, then the new index takes the old
/// one's place. The role, if it runs in the same process, waits meanwhile. Gives how far it got in the end.
///
/// # Errors
/// [`IndexerError::Port`] where archive or index fail in a way that waiting does not mend; [`IndexerError::Stopped`]
/// where `token` is cancelled first: the old index stays.
pub async fn rebuild(
    config: &IndexerConfig,
    ports: &Ports,
    token: &CancellationToken,
    mut progress: impl FnMut(Progress),
) -> Result<Progress, IndexerError> {
    let _turn = tokio::select! {
        turn = ports.outbox_lock.0.write() => turn,
        () = token.cancelled() => return Err(IndexerError::Stopped),
    };
    until_done(config, token, "begin_rebuild", || ports.index.begin_rebuild()).await?;
    let total = until_done(config, token, "refill", || ports.archive.refill_outbox()).await?;
    let mut so_far = Progress { done: 0, total };
    progress(so_far);
    let (working, mut failed) = (token.child_token(), Ok(()));
    let mut workers =
        select_all((0..config.workers.max(1)).map(|_| Box::pin(passes(config, ports, &working))));
    while let Some(claimed) = workers.next().await {
        match claimed {
            Ok(claimed) => {
                so_far.done += claimed as u64;
                progress(so_far);
            }
            // The others hand back what they have.
            Err(error) => {
                working.cancel();
                failed = failed.and(Err(error));
            }
        }
    }
    failed?;
    until_done(config, token, "finish_rebuild", || ports.index.finish_rebuild()).await?;
    Ok(so_far)
}

/// Passes until there was less than could be claimed: that was the last of what was there.
fn passes<'a>(
    config: &'a IndexerConfig,
    ports: &'a Ports,
    token: &'a CancellationToken,
) -> impl Stream<Item = Result<usize, IndexerError>> + Send + 'a {
    stream::try_unfold(true, move |more| async move {
        if !more {
            return Ok(None);
        }
        let claimed = pass(config, ports, config.claim, token).await?;
        Ok(Some((claimed, claimed >= config.claim)))
    })
}
