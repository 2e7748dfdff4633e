//! A log in memory, a real archive in a temporary directory, a recorder between them, and messages by hand.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test, with its message")]

pub(crate) mod counters;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use verbatim_archive_sqlite::SqliteArchive;
use verbatim_core::model::{ChunkTime, ExchangeId, Leg, Outcome, Rank};
use verbatim_core::ports::{Archive, CaptureLog, Message, MessageKind, Sequence, SystemClock};
use verbatim_proto::v1::{End, LegSummary, Part, Start, envelope};
use verbatim_proto::{delta_encode, encode, piece};
use verbatim_recorder::{Ports, RecorderConfig, RecorderError};
use verbatim_testkit::MemoryLog;

pub(crate) const GATEWAY: &str = "gateway-1";
pub(crate) const REQUEST: &str = r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}"#;
pub(crate) const ANSWER: &str = r#"{"id":"c1","object":"chat.completion","model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hi there"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;

pub(crate) struct Bed {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) archive: Arc<dyn Archive>,
    pub(crate) config: RecorderConfig,
    token: CancellationToken,
    running: Option<JoinHandle<Result<(), RecorderError>>>,
    _directory: tempfile::TempDir,
}

impl Bed {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let archive = SqliteArchive::open(&directory.path().join("archive"), Arc::new(SystemClock)).unwrap();
        let log = Arc::new(MemoryLog::new(Duration::from_secs(60)));
        // While nobody lives, nobody is dead.
        log.heartbeat("another gateway").await.unwrap();
        Self {
            log,
            archive: Arc::new(archive),
            config: RecorderConfig {
                hold: Duration::ZERO,
                settle_every: Duration::from_millis(10),
                purge_every: Duration::from_millis(10),
                ..RecorderConfig::default()
            },
            token: CancellationToken::new(),
            running: None,
            _directory: directory,
        }
    }

    pub(crate) fn ports(&self, archive: Arc<dyn Archive>) -> Ports {
        Ports {
            pace: Arc::new(verbatim_core::ports::Unpaced),
            log: Arc::clone(&self.log) as _,
            archive,
            clock: Arc::new(SystemClock),
            committed: Arc::new(Notify::new()),
        }
    }

    pub(crate) fn start_with(&mut self, archive: Arc<dyn Archive>) {
        self.start_on(self.ports(archive));
    }

    #[expect(clippy::disallowed_methods, reason = "the bed owns the one task and joins it in stop")]
    pub(crate) fn start_on(&mut self, ports: Ports) {
        let run = verbatim_recorder::run(self.config.clone(), ports, self.token.clone());
        self.running = Some(tokio::spawn(run));
    }

    pub(crate) fn start(&mut self) {
        self.start_with(Arc::clone(&self.archive));
    }

    pub(crate) async fn stop(&mut self) {
        self.token.cancel();
        self.running.take().unwrap().await.unwrap().unwrap();
        self.token = CancellationToken::new();
    }

    pub(crate) async fn append(&self, message: Message) -> Sequence {
        self.log.append(vec![message]).await.remove(0).unwrap()
    }

    pub(crate) async fn wait_for_rank(&self, id: ExchangeId, rank: Rank) {
        wait_until(async || self.archive.ranks(&[id]).await.unwrap()[0] == Some(rank)).await;
    }
}

/// Asks again until the condition holds; a test that waits for ever is ended by its runner's limit.
pub(crate) async fn wait_until(condition: impl AsyncFn() -> bool) {
    tokio::time::timeout(Duration::from_secs(30), async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the condition holds within 30 s");
}

fn message(id: ExchangeId, kind: MessageKind, body: envelope::Message) -> Message {
    Message { kind, gateway: GATEWAY.to_owned(), exchange: id, payload: encode(id, GATEWAY, body) }
}

pub(crate) fn start(id: ExchangeId, request: &'static str) -> Message {
    let chunks = [ChunkTime { offset: 0, at_us: 1 }];
    message(
        id,
        MessageKind::Start,
        envelope::Message::Start(Start {
            began_unix_us: id.time().as_unix_us(),
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            version: "HTTP/1.1".into(),
            provider: "openai".to_owned(),
            provider_dialect: 1,
            upstream_url: "https://api.openai.com/v1/chat/completions".to_owned(),
            request: (!request.is_empty())
                .then(|| piece(Leg::ClientRequest, 0, Bytes::from_static(request.as_bytes()), &chunks)),
            ..Start::default()
        }),
    )
}

pub(crate) fn part(id: ExchangeId, offset: usize, data: &'static str) -> Message {
    let chunks = [ChunkTime { offset: offset as u64, at_us: 1000 + offset as u64 }];
    let piece = piece(Leg::ClientResponse, offset as u64, Bytes::from_static(data.as_bytes()), &chunks);
    message(id, MessageKind::Part, envelope::Message::Part(Part { pieces: vec![piece], ..Part::default() }))
}

pub(crate) fn summary(leg: Leg, body: &str) -> LegSummary {
    LegSummary {
        leg: u32::from(leg.number()),
        length: body.len() as u64,
        hash: blake3::hash(body.as_bytes()).as_bytes().to_vec(),
        ..LegSummary::default()
    }
}

/// An end that refers to messages at these places; the answer's bytes are in them unless `answer_here`.
pub(crate) fn end(id: ExchangeId, sequences: &[Sequence], answer_here: bool) -> Message {
    let answer = piece(Leg::ClientResponse, 0, Bytes::from_static(ANSWER.as_bytes()), &[]);
    end_with(
        id,
        End {
            sequences: delta_encode(sequences.iter().copied()),
            pieces: if answer_here { vec![answer] } else { Vec::new() },
            ..plain_end()
        },
    )
}

pub(crate) fn plain_end() -> End {
    End {
        outcome: u32::from(Outcome::Completed.number()),
        status: Some(200),
        duration_us: 5_000,
        legs: vec![summary(Leg::ClientRequest, REQUEST), summary(Leg::ClientResponse, ANSWER)],
        ..End::default()
    }
}

pub(crate) fn end_with(id: ExchangeId, end: End) -> Message {
    message(id, MessageKind::End, envelope::Message::End(end))
}
