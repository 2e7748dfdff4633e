//! Records a leg's chunks as they pass.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::{Sleep, sleep};
use verbatim_core::model::Leg;

use super::{Exchange, Gathered};

/// How long to wait before room is looked for again.
const PAUSE: Duration = Duration::from_millis(3);

/// The tee of one leg. A chunk goes in, and comes out again once it is recorded or given up: at once, but for
/// long legs whose recording has no room. What it gathers goes over when it is told to, and when it is dropped.
#[derive(Debug)]
pub(crate) struct Tee {
    exchange: Arc<Exchange>,
    leg: Leg,
    offset: u64,
    gathered: Gathered,
    held: Option<(Bytes, Instant)>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Tee {
    pub(crate) fn new(exchange: Arc<Exchange>, leg: Leg) -> Self {
        Self { exchange, leg, offset: 0, gathered: Gathered::default(), held: None, pause: None }
    }

    pub(crate) const fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    /// Bytes that have passed.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether a chunk is held back; then [`Tee::poll_held`] must be asked before the next one is put in.
    pub(crate) const fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// Puts a chunk in.
    pub(crate) fn poll_pass(&mut self, cx: &mut Context<'_>, chunk: Bytes) -> Poll<Bytes> {
        if self.gathers(&chunk) {
            return Poll::Ready(self.passed(chunk));
        }
        // What is gathered holds room.
        self.flush();
        self.held = Some((chunk, Instant::now()));
        self.poll_held(cx)
    }

    /// Asks for the chunk that is held back.
    pub(crate) fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        loop {
            let Some((chunk, since)) = self.held.take() else { return Poll::Pending };
            if self.gathers(&chunk) {
                return Poll::Ready(self.passed(chunk));
            }
            self.exchange.slowed(since.elapsed());
            if !self.exchange.may_wait(self.offset) {
                self.exchange.lose(self.leg, chunk.len());
                return Poll::Ready(self.passed(chunk));
            }
            self.held = Some((chunk, Instant::now()));
            let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(PAUSE)));
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
    }

    /// Hands over what is gathered: whenever nothing more is there for now, and before the exchange ends.
    pub(crate) fn flush(&mut self) {
        self.exchange.hand_over(self.leg, &mut self.gathered);
    }

    fn gathers(&mut self, chunk: &Bytes) -> bool {
        self.exchange.try_gather(self.leg, self.offset, chunk, &mut self.gathered)
    }

    fn passed(&mut self, chunk: Bytes) -> Bytes {
        self.offset += chunk.len() as u64;
        chunk
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        self.flush();
    }
}
