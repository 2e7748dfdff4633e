//! When a call has taken too long.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::capture::Exchange;
use crate::config::Timeouts;

/// Which time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TimedOut {
    /// No head came.
    #[error("the provider did not answer within {0:?} (first_byte)")]
    FirstByte(Duration),
    /// Nothing moved.
    #[error("no byte passed within {0:?} (idle)")]
    Idle(Duration),
    /// The call as a whole.
    #[error("the call was not over within {0:?} (total)")]
    Total(Duration),
    /// Its record, which is required, took nothing more.
    #[error(
        "neither capture log nor spool had room for more of the call within {0:?}, and this gateway passes nothing on \
         unrecorded (acknowledge)"
    )]
    NoRoom(Duration),
}

/// The timers of one call. There is one real timer, and it runs late rather than being set anew with each chunk:
/// when it fires, what has happened meanwhile is looked at.
#[derive(Debug)]
pub(crate) struct Timers {
    began: Instant,
    timeouts: Timeouts,
    sleep: Option<Pin<Box<Sleep>>>,
    answered: bool,
}

impl Timers {
    /// Timers of a call that began at `began`.
    pub(crate) fn new(began: std::time::Instant, timeouts: Timeouts) -> Self {
        Self { began: began.into(), timeouts, sleep: None, answered: false }
    }

    /// Time for the answer's head no longer counts.
    pub(crate) const fn answered(&mut self) {
        self.answered = true;
    }

    /// Ready once a time ran out. To be asked whenever the call can't go on.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, exchange: &Exchange) -> Poll<TimedOut> {
        let patience = exchange.is_required().then(|| self.timeouts.recorded());
        loop {
            let room_within = patience.map(|patience| patience.saturating_sub(exchange.held_back()));
            if let (Some(Duration::ZERO), Some(patience)) = (room_within, patience) {
                return Poll::Ready(TimedOut::NoRoom(patience));
            }
            if let Some(sleep) = &mut self.sleep
                && sleep.as_mut().poll(cx).is_pending()
            {
                return Poll::Pending;
            }
            let (deadline, what) = self.deadline(exchange);
            let now = Instant::now();
            if self.sleep.is_some() && deadline <= now {
                return Poll::Ready(what);
            }
            // The shortest time may begin to count at any moment.
            let shortest = self.timeouts.idle.min(if self.answered {
                self.timeouts.idle
            } else {
                self.timeouts.first_byte
            });
            let shortest = room_within.map_or(shortest, |within| within.min(shortest));
            let look = deadline.min(now + shortest).max(now);
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(look),
                None => self.sleep = Some(Box::pin(sleep_until(look))),
            }
        }
    }

    /// Tells that the call as a whole has taken too long, from when bytes passed last: asking costs nothing.
    pub(crate) fn total_is_over(&self, exchange: &Exchange) -> Option<TimedOut> {
        let total = self.timeouts.total;
        (Duration::from_micros(exchange.progress_us()) >= total).then_some(TimedOut::Total(total))
    }

    fn deadline(&self, exchange: &Exchange) -> (Instant, TimedOut) {
        let at = |us: u64| self.began + Duration::from_micros(us);
        let Timeouts { first_byte, idle, total, .. } = self.timeouts;
        let next = match exchange.request_done_us().filter(|_| !self.answered) {
            Some(done) => (at(done) + first_byte, TimedOut::FirstByte(first_byte)),
            None => (at(exchange.progress_us()) + idle, TimedOut::Idle(idle)),
        };
        let last = (self.began + total, TimedOut::Total(total));
        if last.0 < next.0 { last } else { next }
    }
}
