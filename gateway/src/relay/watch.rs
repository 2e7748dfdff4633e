//! Ends calls whose answers nobody asks for. hyper asks an answer's body for more only once an HTTP/2 caller has made
//! room for what it holds already; with a caller that never does, the timers of that body are never looked at again.
//! So the task that serves the stream looks at a second pair.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio_util::task::TaskTracker;

use super::timers::Timers;
use crate::capture::Exchange;
use crate::config::Timeouts;

/// A body that is asked has so long to end the call itself, and to send what it has.
const GRACE: Duration = Duration::from_secs(1);

tokio::task_local! {
    /// The call that the task serves.
    static WATCH: RefCell<Option<Watch>>;
}

struct Watch {
    exchange: Arc<Exchange>,
    timers: Timers,
}

impl Watch {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.timers
            .poll(cx, &self.exchange)
            .map(|timed_out| self.exchange.drop_overdue(timed_out.to_string()))
    }
}

/// Watches a call from the head of its answer on; to be called in the task that serves it. An HTTP/1 connection,
/// which gives up by itself on a caller that reads nothing, is not watched.
pub(super) fn begin(exchange: &Arc<Exchange>, began: Instant, timeouts: Timeouts) {
    // An error says that this task watches nothing.
    let _ = WATCH.try_with(|watch| {
        // A body for whose recording there is no room is asked all the while, and ends the call itself.
        let timeouts = Timeouts { acknowledge: Duration::MAX / 3, ..timeouts };
        let mut timers = Timers::new(began + GRACE, timeouts);
        timers.answered();
        *watch.borrow_mut() = Some(Watch { exchange: Arc::clone(exchange), timers });
    });
}

/// Runs the streams of callers' HTTP/2 connections, each as a task that somebody waits for. One whose call takes too
/// long is dropped, which resets the stream and leaves the others alone.
#[derive(Clone)]
pub(crate) struct WatchedExecutor(pub(crate) TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for WatchedExecutor {
    fn execute(&self, stream: F) {
        self.0.spawn(WATCH.scope(RefCell::default(), watched(stream)));
    }
}

async fn watched(stream: impl Future) {
    let mut stream = pin!(stream);
    poll_fn(|cx| match stream.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => {
            WATCH.with(|watch| watch.borrow_mut().as_mut().map_or(Poll::Pending, |watch| watch.poll(cx)))
        }
    })
    .await;
}
