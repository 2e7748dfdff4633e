//! Looking on: the newest messages as they become durable.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt, unfold};
use verbatim_core::ports::{Live, LiveMessage};

use crate::SqliteLog;
use crate::shared::Shared;

/// An onlooker takes so many at a time, so that it never holds the log's memory for long.
const AT_A_TIME: usize = 64;

/// Where one onlooker is. It holds no messages that the log does not hold too, but for the few it just took.
struct Onlooker {
    shared: Arc<Shared>,
    next: u64,
    taken: VecDeque<LiveMessage>,
}

impl Live for SqliteLog {
    /// Ends when the log is closed.
    fn subscribe(&self) -> BoxStream<'static, LiveMessage> {
        let shared = Arc::clone(self.shared());
        let next = shared.ledger().recent().seen();
        let onlooker = Onlooker { shared, next, taken: VecDeque::new() };
        unfold(onlooker, |mut onlooker| async { Some((onlooker.next().await?, onlooker)) }).boxed()
    }
}

impl Onlooker {
    async fn next(&mut self) -> Option<LiveMessage> {
        let shared = Arc::clone(&self.shared);
        while self.taken.is_empty() {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.look() {
                return None;
            }
            if self.taken.is_empty() {
                changed.await;
            }
        }
        self.taken.pop_front()
    }

    /// Takes what is new; true if nothing will ever come.
    fn look(&mut self) -> bool {
        let ledger = self.shared.ledger();
        let (missed, since) = ledger.recent().since(self.next, AT_A_TIME);
        self.next += missed;
        if missed > 0 {
            self.taken.push_back(LiveMessage::Missed(missed));
        }
        for message in since {
            self.next += 1;
            self.taken.push_back(LiveMessage::Passed(message.clone()));
        }
        self.taken.is_empty() && ledger.is_closed()
    }
}
