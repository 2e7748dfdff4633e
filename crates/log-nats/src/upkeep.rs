//! What goes on beside the work: those who depend on the connection hear when it is another one, and streams and
//! consumers that got lost are made again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::config::Config;
use crate::hearing::Hearing;
use crate::reader::Reader;
use crate::requests::Requests;
use crate::setup;

/// The connection is looked at so often at least: what the client library tells of it may get lost.
const LOOK: Duration = Duration::from_secs(1);
/// Streams and consumers are looked at no more often than that.
const PAUSE: Duration = Duration::from_millis(500);

/// What has to know when the connection is another one.
pub(crate) struct Dependants {
    pub(crate) requests: Requests,
    pub(crate) readers: [Arc<Reader>; 2],
    pub(crate) hearing: Arc<Hearing>,
}

impl Dependants {
    /// Tells them; never waits for the server, which may be gone again meanwhile.
    pub(crate) async fn follow(self, mut changes: watch::Receiver<u64>) {
        let mut known = self.requests.connection();
        loop {
            if let Ok(Err(_)) = timeout(LOOK, changes.changed()).await {
                return;
            }
            let (now, connected) = (self.requests.connection(), self.requests.is_connected());
            if now == known && connected {
                continue;
            }
            self.requests.connection_changed();
            self.hearing.cut_off();
            self.readers.iter().for_each(|reader| reader.connection_changed());
            if now > known && connected {
                known = now;
                // It may be another server, or one that lost its storage.
                self.requests.doubt();
            }
        }
    }
}

/// Makes streams and consumers again where they got lost.
pub(crate) async fn keep(requests: Requests, config: Config) {
    loop {
        requests.doubted().await;
        while let Err(error) = setup::ensure(&requests, &config).await {
            if !error.is_transient() {
                tracing::error!(%error, "the capture log is not as it should be");
                break;
            }
            tracing::debug!(%error, "the capture log can't be looked at yet");
            sleep(PAUSE).await;
        }
        sleep(PAUSE).await;
    }
}
