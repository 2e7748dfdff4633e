//! The role that turns what the capture log holds into records of the archive: it consumes ends, assembles,
//! commits, watches that every start reaches the archive, and lets go of what is no longer needed.
//!
//! Knows ports only: which log and which archive stand behind them is not its business.
#![warn(
    clippy::string_slice,
    reason = "texts are anybody's: an offset need not be at a character's boundary"
)]

mod assemble;
mod collect;
mod config;
mod consume;
mod dead_letters;
mod janitor;
mod lag;
mod outage;
mod price;
mod record;
mod retention;
mod room;
mod said;
mod settle;
mod sources;
mod watch;

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::{Archive, CaptureLog, Clock, Pace, PortError};

pub use config::RecorderConfig;

/// What the recorder needs of the outside.
#[derive(Clone)]
pub struct Ports {
    /// Where exchanges come from.
    pub log: Arc<dyn CaptureLog>,
    /// Where records go.
    pub archive: Arc<dyn Archive>,
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// When to go on with what can wait.
    pub pace: Arc<dyn Pace>,
    /// Told after every commit, so that an indexer in the same process need not poll.
    pub committed: Arc<Notify>,
}

/// Why the recorder stopped before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// A port failed in a way that waiting does not mend.
    #[error(transparent)]
    Port(#[from] PortError),
    /// One of its tasks panicked.
    #[error("one of its tasks broke off")]
    Task(#[from] tokio::task::JoinError),
}

/// Runs until `token` is cancelled; then goes on until the log's ends are archived, at most for
/// [`RecorderConfig::drain`].
pub async fn run(
    config: RecorderConfig,
    ports: Ports,
    token: CancellationToken,
) -> Result<(), RecorderError> {
    let mut tasks = JoinSet::new();
    let recorded = CancellationToken::new();
    let room = room::Room::new(&config);
    let consuming = consume::run(config.clone(), ports.clone(), room.clone(), token.clone());
    let end_of_recording = recorded.clone().drop_guard();
    tasks.spawn(async move {
        let _guard = end_of_recording;
        consuming.await
    });
    tasks.spawn(watch::run(config.clone(), ports.clone(), token.clone(), recorded));
    tasks.spawn(settle::run(config.clone(), ports.clone(), room, token.clone()));
    tasks.spawn(janitor::run(config.clone(), ports.clone(), token.clone()));
    tasks.spawn(retention::run(config.clone(), ports.clone(), token.clone()));
    // Whichever fails first stops the others: half a recorder would look alive.
    let mut result = Ok(());
    while let Some(joined) = tasks.join_next().await {
        let failed =
            joined.map_err(RecorderError::from).and_then(|done| done.map_err(RecorderError::from)).err();
        if let Some(error) = failed {
            token.cancel();
            result = result.and(Err(error));
        }
    }
    match result {
        Ok(()) => Ok(janitor::finish(&config, &ports).await?),
        failed => failed,
    }
}
