//! What is on a server, looked at from outside: by whoever must change nothing, and by whoever changes what we set.

use std::time::Duration;

use futures_util::FutureExt;
use verbatim_core::ports::{LogHealth, PortError};

use crate::config::Config;
use crate::connect::{self, Connected};
use crate::error::NatsLogError;
use crate::setup;
use crate::stream::Stream;

/// What was found on a server.
#[derive(Debug)]
pub struct Survey {
    /// The server's version.
    pub server_version: String,
    /// Streams and consumers that are not there yet, such as `stream CAP`: the first process that opens the log makes them.
    pub absent: Vec<String>,
    /// What the log holds; `None` where something is absent.
    pub health: Option<LogHealth>,
}

impl Survey {
    /// Looks at a server, its streams and its consumers, and changes nothing.
    ///
    /// # Errors
    /// As of [`NatsLog::connect`](crate::NatsLog::connect).
    pub async fn take(config: &Config) -> Result<Self, NatsLogError> {
        let looking = connect::connect(config, |requests, config| setup::look(requests, config).boxed());
        // The tasks that hand out answers end with this.
        let (Connected { requests, tasks: _tasks, .. }, absent) = looking.await?;
        let health = match absent.is_empty() {
            true => Some(Stream::new(requests.clone(), config.answer_within).health().await),
            false => None,
        };
        let unreachable = |error: PortError| NatsLogError::Unreachable {
            address: requests.shown().to_owned(),
            why: error.to_string(),
        };
        Ok(Self {
            server_version: requests.client().server_info().version,
            absent,
            health: health.transpose().map_err(unreachable)?,
        })
    }
}

/// A consumer that waits another time for acknowledgements now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// `consumer recorder of stream CAP`.
    pub what: String,
    /// How long it waited.
    pub from: Duration,
    /// How long it waits.
    pub to: Duration,
}

/// Brings consumers that are there to [`Config::acknowledgement_wait`]; nothing is made. Several may do it at once.
///
/// # Errors
/// As of [`NatsLog::connect`](crate::NatsLog::connect); other settings that are not as they should be are errors, too.
pub async fn migrate(config: &Config) -> Result<Vec<Changed>, NatsLogError> {
    let changing = connect::connect(config, |requests, config| setup::change_wait(requests, config).boxed());
    let (_connected, changed) = changing.await?;
    Ok(changed)
}
