//! A capture log on NATS for those who don't wait for it: a relay serves, and keeps what it captures in its spool, while
//! NATS can't be reached yet; a dashboard shows what is archived.

use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::{
    CaptureLog, Consumer, DeadLetter, Delivery, Floors, Live, LiveMessage, Liveness, LogHealth, Message,
    PortError, PortResult, PullLimit, Sequence,
};
use verbatim_log_nats::{Config, NatsLog};

use super::Store;
use super::engines::connect_log;
use crate::waits::Waits;

/// The log, once it is connected; until then everything asked of it fails for now.
pub(crate) struct LateLog {
    config: Config,
    log: SetOnce<Arc<NatsLog>>,
}

impl LateLog {
    /// Connects to nothing yet.
    pub(crate) fn new(config: Config) -> Arc<Self> {
        Arc::new(Self { config, log: SetOnce::new() })
    }

    /// Connects, and then has nothing to do until it is told to end.
    ///
    /// # Errors
    /// What waiting does not mend.
    pub(crate) async fn run(self: Arc<Self>, waits: Waits, token: CancellationToken) -> Result<()> {
        let connecting = token.run_until_cancelled(connect_log(self.config.clone(), &waits)).await;
        if let Some(connected) = connecting {
            // Nobody else sets it.
            let _ = self.log.set(connected?);
            token.cancelled().await;
        }
        Ok(())
    }

    fn log(&self) -> PortResult<&NatsLog> {
        self.log.get().map(Arc::as_ref).ok_or_else(not_yet)
    }
}

fn not_yet() -> PortError {
    PortError::Transient("NATS could not be reached yet".to_owned())
}

#[async_trait]
impl Store for LateLog {
    async fn close(&self) -> Result<()> {
        match self.log.get() {
            Some(log) => log.close().await,
            None => Ok(()),
        }
    }
}

impl Live for LateLog {
    /// Ends at once where the log is not there yet, as a log's does that was closed: whoever looks on comes again.
    fn subscribe(&self) -> BoxStream<'static, LiveMessage> {
        self.log.get().map_or_else(|| stream::empty().boxed(), |log| log.subscribe())
    }
}

#[async_trait]
impl CaptureLog for LateLog {
    async fn append(&self, messages: Vec<Message>) -> Vec<PortResult<Sequence>> {
        match self.log() {
            Ok(log) => log.append(messages).await,
            Err(_) => messages.iter().map(|_| Err(not_yet())).collect(),
        }
    }

    async fn next(&self, consumer: Consumer, limit: PullLimit) -> PortResult<Vec<Delivery>> {
        self.log()?.next(consumer, limit).await
    }

    async fn acknowledge(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()> {
        self.log()?.acknowledge(consumer, sequences).await
    }

    async fn progress(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()> {
        self.log()?.progress(consumer, sequences).await
    }

    async fn hand_back(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()> {
        self.log()?.hand_back(consumer, sequences).await
    }

    async fn read(&self, sequences: &[Sequence]) -> PortResult<Vec<Option<Message>>> {
        self.log()?.read(sequences).await
    }

    async fn scan(
        &self,
        gateway: &str,
        from: Sequence,
        to: Sequence,
        limit: usize,
        bytes: usize,
    ) -> PortResult<Vec<(Sequence, Message)>> {
        self.log()?.scan(gateway, from, to, limit, bytes).await
    }

    async fn floors(&self) -> PortResult<Floors> {
        self.log()?.floors().await
    }

    async fn purge(&self, floor: Sequence) -> PortResult<()> {
        self.log()?.purge(floor).await
    }

    async fn dead_letter(&self, letters: Vec<DeadLetter>) -> PortResult<()> {
        self.log()?.dead_letter(letters).await
    }

    /// Waits for the log, so that the first sign of life comes as soon as there is somebody to hear it.
    async fn heartbeat(&self, gateway: &str) -> PortResult<()> {
        self.log.wait().await.heartbeat(gateway).await
    }

    async fn liveness(&self, gateway: &str) -> PortResult<Liveness> {
        self.log()?.liveness(gateway).await
    }

    async fn health(&self) -> PortResult<LogHealth> {
        self.log()?.health().await
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use verbatim_core::model::ExchangeId;
    use verbatim_core::ports::MessageKind;

    use super::*;

    #[tokio::test]
    async fn before_it_is_connected_everything_fails_for_now_and_onlookers_come_again() {
        let log = LateLog::new(Config::new(["nats://127.0.0.1:1"]));
        let message = Message {
            kind: MessageKind::Start,
            gateway: "g".to_owned(),
            exchange: ExchangeId::mint(),
            payload: Bytes::new(),
        };
        let appended = log.append(vec![message; 3]).await;
        assert_eq!(appended.len(), 3);
        assert!(appended.iter().all(|one| one.as_ref().is_err_and(PortError::is_transient)));
        assert!(log.liveness("g").await.is_err_and(|error| error.is_transient()));
        assert!(log.subscribe().next().await.is_none());
        log.close().await.unwrap();
    }

    #[tokio::test]
    async fn it_stops_connecting_when_told_to_end() {
        let (log, token) = (LateLog::new(Config::new(["nats://127.0.0.1:1"])), CancellationToken::new());
        token.cancel();
        log.run(Waits::default(), token).await.unwrap();
    }
}
