//! The durable queue between gateway and recorder.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::PortResult;
use crate::model::ExchangeId;

/// A message's place in the log: positive, rising, never used twice.
pub type Sequence = u64;

/// The three kinds of message an exchange leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum MessageKind {
    /// The first: who called what.
    Start = 1,
    /// A piece of a body.
    Part = 2,
    /// The last: how it ended, and where the others are.
    End = 3,
}

impl MessageKind {
    /// The word used in subjects and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Part => "part",
            Self::End => "end",
        }
    }

    /// The kind with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Start),
            2 => Some(Self::Part),
            3 => Some(Self::End),
            _ => None,
        }
    }
}

/// One message. The log treats the payload as opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: MessageKind,
    /// The gateway process that wrote it; a restarted gateway is another one.
    pub gateway: String,
    /// The exchange it belongs to.
    pub exchange: ExchangeId,
    /// The encoded envelope.
    pub payload: Bytes,
}

/// A message with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Where it stands.
    pub sequence: Sequence,
    /// The message. For [`Consumer::Watch`] the payload may be empty (headers only).
    pub message: Message,
    /// How often it was delivered before to this consumer.
    pub redelivered: u32,
}

/// The two durable readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Consumer {
    /// Reads every `end`.
    Recorder,
    /// Reads every `start`, to audit that all reach the archive.
    Watch,
}

/// How much to take at once.
#[derive(Debug, Clone, Copy)]
pub struct PullLimit {
    /// At most so many messages.
    pub messages: usize,
    /// At most so many payload bytes, but at least one message.
    pub bytes: usize,
    /// Wait so long for a first message before answering with none.
    pub wait: Duration,
}

/// How far the log has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Floors {
    /// Every `end` below or at this sequence is acknowledged. With no `end` pending: the last sequence that was
    /// written before that was seen, so that it moves on when idle.
    pub recorder: Sequence,
    /// The same for `start`.
    pub watch: Sequence,
    /// The last sequence that was written; 0 for an empty log.
    pub last: Sequence,
}

/// What is waiting in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogHealth {
    /// Payload bytes kept, and what the log counts for each message beside its payload.
    pub bytes: u64,
    /// Such bytes that it takes at most; `None` where only what surrounds it bounds it, such as a NATS account.
    pub max_bytes: Option<u64>,
    /// Messages kept.
    pub messages: u64,
    /// `end`s that are not acknowledged; zero only where there are none, and otherwise perhaps an estimate.
    pub ends_pending: u64,
    /// Messages in the dead-letter store.
    pub dead_letters: u64,
}

/// A message that can't be processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it stood.
    pub sequence: Sequence,
    /// The message.
    pub message: Message,
    /// Why it can't be processed.
    pub reason: String,
}

/// What is known of a gateway process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It writes, or may write again.
    Alive,
    /// It will never write again, and nobody will for it.
    Dead,
    /// Can't be told now; so it is before any gateway was heard since the log was opened.
    Unknown,
}

/// The capture log. Every adapter passes the contract suite in `testkit`.
#[async_trait]
pub trait CaptureLog: Send + Sync + 'static {
    /// Writes messages; each result tells whether that one is durable and where. Sequences rise in the order given.
    /// [`PortError::Transient`](super::PortError::Transient): the log is full or can't be reached.
    async fn append(&self, messages: Vec<Message>) -> Vec<PortResult<Sequence>>;

    /// Takes the next undelivered `end`s (or `start`s) in order. What is not acknowledged is delivered again after
    /// the acknowledgement wait, or after a restart where readers end with the log; where others read it, too, perhaps
    /// to one of them. An empty answer means that `limit.wait` passed.
    async fn next(&self, consumer: Consumer, limit: PullLimit) -> PortResult<Vec<Delivery>>;

    /// Acknowledges deliveries: they are never delivered again to this consumer. Durable when it returns, or the
    /// delivery comes again after a crash. Unknown sequences are ignored.
    async fn acknowledge(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()>;

    /// Tells that these deliveries are being worked on, which restarts their acknowledgement wait.
    async fn progress(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()>;

    /// Hands deliveries back at once, to be delivered again soon; perhaps to another reader, where others read, too.
    async fn hand_back(&self, consumer: Consumer, sequences: &[Sequence]) -> PortResult<()>;

    /// Reads messages by place, in the order asked for; `None` for what the log does not hold (any more).
    async fn read(&self, sequences: &[Sequence]) -> PortResult<Vec<Option<Message>>>;

    /// Every message of one gateway between two sequences (inclusive), in order, at most `limit` messages and
    /// `bytes` payload bytes (at least one message); to go on, ask again from the last sequence plus one.
    async fn scan(
        &self,
        gateway: &str,
        from: Sequence,
        to: Sequence,
        limit: usize,
        bytes: usize,
    ) -> PortResult<Vec<(Sequence, Message)>>;

    /// How far it has been read.
    async fn floors(&self) -> PortResult<Floors>;

    /// Lets go of every message below `floor`; of the log's last one perhaps only when another has come. Space may come
    /// back later, in steps.
    async fn purge(&self, floor: Sequence) -> PortResult<()>;

    /// Stores messages that can't be processed; durable when it returns. They are kept until someone looks.
    async fn dead_letter(&self, letters: Vec<DeadLetter>) -> PortResult<()>;

    /// Says that this gateway process is alive, or that another still writes for it.
    async fn heartbeat(&self, gateway: &str) -> PortResult<()>;

    /// Whether a gateway process can still write.
    async fn liveness(&self, gateway: &str) -> PortResult<Liveness>;

    /// What is waiting.
    async fn health(&self) -> PortResult<LogHealth>;
}
