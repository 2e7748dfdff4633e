//! What passes through the capture log right now, for those who look on.

use futures_util::stream::BoxStream;

use super::Message;

/// A message as it passed, or a hole where the onlooker was too slow.
#[derive(Debug, Clone)]
pub enum LiveMessage {
    /// A message that is now durable in the log, or about to be.
    Passed(Message),
    /// So many messages, or more, went by unseen.
    Missed(u64),
}

/// A best-effort view of the log's newest messages; looking on never slows the log.
pub trait Live: Send + Sync + 'static {
    /// From now on, until dropped.
    fn subscribe(&self) -> BoxStream<'static, LiveMessage>;
}
