//! The log, open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::stream::BoxStream;
use futures_util::try_join;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::{
    CaptureLog, Consumer, DeadLetter, Delivery, Floors, Live, LiveMessage, Liveness, LogHealth, Message,
    PortError, PortResult, PullLimit, Sequence,
};

use crate::append::Appender;
use crate::config::Config;
use crate::connect::{self, Connected};
use crate::dead_letters::{self, Letter};
use crate::error::NatsLogError;
use crate::garbage;
use crate::hearing::Hearing;
use crate::live::Onlookers;
use crate::reader::Reader;
use crate::requests::Requests;
use crate::scan::Scanner;
use crate::setup;
use crate::stream::Stream;
use crate::upkeep::{self, Dependants};

/// A capture log on NATS JetStream, shared with every other process that is connected to it.
///
/// [`shutdown`](Self::shutdown) closes it in order. Dropped without that, deliveries that were taken and not
/// acknowledged come again once their acknowledgement wait is over.
pub struct NatsLog {
    config: Config,
    requests: Requests,
    appender: Appender,
    stream: Stream,
    scanner: Scanner,
    recorder: Arc<Reader>,
    watch: Arc<Reader>,
    hearing: Arc<Hearing>,
    onlookers: Arc<Onlookers>,
    closing: CancellationToken,
    /// They end by themselves when it closes.
    readers: Mutex<JoinSet<()>>,
    /// They are ended.
    helpers: Mutex<JoinSet<()>>,
}

impl NatsLog {
    /// Connects to the log, making its streams and consumers where they are absent and checking them where they are
    /// not. A server that can't be reached is tried for [`Config::connect_within`]; once connected, the connection is
    /// made again for ever.
    ///
    /// # Errors
    /// What keeps the log from being used; it names server, expectation and remedy.
    pub async fn connect(config: Config) -> Result<Self, NatsLogError> {
        let (connected, ()) =
            connect::connect(&config, |requests, config| setup::ensure(requests, config).boxed()).await?;
        let Connected { requests, events, tasks: mut helpers } = connected;
        let opening = |error: PortError| NatsLogError::Unreachable {
            address: requests.shown().to_owned(),
            why: error.to_string(),
        };
        let (closing, mut readers) = (CancellationToken::new(), JoinSet::new());
        let (set_aside, garbage) = mpsc::channel(garbage::WAITING);
        helpers.spawn(garbage::run(requests.clone(), garbage, config.answer_within));
        let mut reader = async |consumer| {
            let opened = Reader::new(consumer, &config, requests.clone(), closing.clone()).await;
            let (reader, deliveries) = opened.map_err(opening)?;
            let reader = Arc::new(reader);
            readers.spawn(Arc::clone(&reader).receive(deliveries, set_aside.clone()));
            helpers.spawn(Arc::clone(&reader).suspect(set_aside.clone()));
            Ok(reader)
        };
        let (recorder, watch) = (reader(Consumer::Recorder).await?, reader(Consumer::Watch).await?);
        let (hearing, signs) = Hearing::new(requests.clone()).await.map_err(opening)?;
        let (hearing, onlookers) = (Arc::new(hearing), Onlookers::new());
        let listening = Arc::clone(&hearing);
        helpers.spawn(async move { listening.listen(signs).await });
        // Nothing is missed from now on.
        requests.round_trip(config.answer_within).await.map_err(opening)?;
        readers.spawn(Arc::clone(&onlookers).run(config.clone(), closing.clone()));
        let dependants = Dependants {
            requests: requests.clone(),
            readers: [Arc::clone(&recorder), Arc::clone(&watch)],
            hearing: Arc::clone(&hearing),
        };
        helpers.spawn(dependants.follow(events.changes()));
        helpers.spawn(upkeep::keep(requests.clone(), config.clone()));
        Ok(Self {
            appender: Appender::new(requests.clone(), config.answer_within),
            stream: Stream::new(requests.clone(), config.answer_within),
            scanner: Scanner::new(requests.clone(), config.answer_within),
            config,
            requests,
            recorder,
            watch,
            hearing,
            onlookers,
            closing,
            readers: Mutex::new(readers),
            helpers: Mutex::new(helpers),
        })
    }

    /// Closes the log in order: ends that were taken and not acknowledged are given back to the other recorders at
    /// once, waiting pulls end with an error. May be called again, to no effect.
    pub async fn shutdown(&self) {
        self.closing.cancel();
        let mut readers = std::mem::take(&mut *lock(&self.readers));
        while let Some(ended) = readers.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the capture log broke off");
            }
        }
        let helpers = std::mem::take(&mut *lock(&self.helpers));
        if !helpers.is_empty()
            && let Err(error) = self.requests.round_trip(self.config.answer_within).await
        {
            tracing::warn!(%error, "what was taken from the log and not archived comes again only after a while");
        }
        drop(helpers);
    }

    fn reader(&self, consumer: Consumer) -> &Reader {
        match consumer {
            Consumer::Recorder => &self.recorder,
            Consumer::Watch => &self.watch,
        }
    }

    fn check_open(&self) -> PortResult<()> {
        match self.closing.is_cancelled() {
            true => Err(PortError::Transient("the log is closed".to_owned())),
            false => Ok(()),
        }
    }
}

fn lock(tasks: &Mutex<JoinSet<()>>) -> MutexGuard<'_, JoinSet<()>> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl CaptureLog for NatsLog {
    async fn append(&self, messages: Vec<Message>) -> Vec<PortResult<Sequence>> {
        self.appender.append(messages).await
    }

    async fn next(&self, consumer: Consumer, limit: PullLimit) -> PortResult<Vec<Delivery>> {
        self.reader(consumer).next(limit).await
    }

    async fn acknowledge(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()> {
        self.reader(consumer).acknowledge(sequences).await
    }

    async fn progress(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()> {
        self.reader(consumer).progress(sequences).await
    }

    async fn hand_back(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()> {
        self.reader(consumer).hand_back(sequences).await
    }

    async fn read(&self, sequences: &[Sequence]) -> PortResult<Vec<Option<Message>>> {
        self.check_open()?;
        self.stream.read(sequences).await
    }

    async fn scan(
        &self,
        gateway: &str,
        from: Sequence,
        to: Sequence,
        limit: usize,
        bytes: usize,
    ) -> PortResult<Vec<(Sequence, Message)>> {
        self.check_open()?;
        self.scanner.scan(gateway, from, to, limit, bytes).await
    }

    async fn floors(&self) -> PortResult<Floors> {
        self.check_open()?;
        self.stream.floors().await
    }

    async fn purge(&self, floor: Sequence) -> PortResult<()> {
        self.check_open()?;
        let floor = self.stream.purge(floor).await?;
        try_join!(self.recorder.purged(floor), self.watch.purged(floor)).map(drop)
    }

    async fn dead_letter(&self, letters: Vec<DeadLetter>) -> PortResult<()> {
        let letters = letters.into_iter().map(Letter::of_ours).collect();
        dead_letters::store(&self.requests, letters, self.config.answer_within).await
    }

    async fn heartbeat(&self, gateway: &str) -> PortResult<()> {
        self.hearing.beat(gateway, self.config.answer_within).await
    }

    async fn liveness(&self, gateway: &str) -> PortResult<Liveness> {
        Ok(self.hearing.liveness(gateway))
    }

    async fn health(&self) -> PortResult<LogHealth> {
        self.check_open()?;
        self.stream.health().await
    }
}

impl Live for NatsLog {
    /// What is published on the log's subjects, a moment before it is durable; what the stream refuses is seen, too.
    /// Begins as soon as the server knows of the onlooker; ends when the log is closed.
    fn subscribe(&self) -> BoxStream<'static, LiveMessage> {
        self.onlookers.subscribe()
    }
}
