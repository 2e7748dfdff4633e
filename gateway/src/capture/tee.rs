//! Records a leg's chunks as they pass.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::{Sleep, sleep};
use verbatim_core::model::{ChunkTime, Leg};

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
    held: Option<Held>,
    pause: Option<Pin<Box<Sleep>>>,
}

/// A chunk for whose recording there is no room.
#[derive(Debug)]
struct Held {
    chunk: Bytes,
    /// When it came.
    at_us: u64,
    began: Instant,
    /// Up to when the wait for room is counted.
    since: Instant,
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

    /// Puts a chunk in: the call makes progress, whatever is recorded of it.
    pub(crate) fn poll_pass(&mut self, cx: &mut Context<'_>, chunk: Bytes) -> Poll<Bytes> {
        if chunk.is_empty() {
            return Poll::Ready(chunk);
        }
        let at_us = self.exchange.progress();
        if self.gathers(&chunk, at_us) {
            return Poll::Ready(self.passed(chunk));
        }
        // What is gathered holds room.
        self.flush();
        let now = Instant::now();
        self.held = Some(Held { chunk, at_us, began: now, since: now });
        self.poll_held(cx)
    }

    /// Asks for the chunk that is held back.
    pub(crate) fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        loop {
            let Some(Held { chunk, at_us, began, since }) = self.held.take() else { return Poll::Pending };
            if self.gathers(&chunk, at_us) {
                return Poll::Ready(self.let_go(chunk));
            }
            self.exchange.slowed(since.elapsed());
            if !self.exchange.may_wait(self.offset) {
                self.exchange.lose(self.leg, chunk.len());
                return Poll::Ready(self.let_go(chunk));
            }
            self.exchange.held(self.leg, began.elapsed());
            self.held = Some(Held { chunk, at_us, began, since: Instant::now() });
            let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(PAUSE)));
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
    }

    /// Hands over what is gathered: whenever nothing more is there for now, and before the exchange ends.
    pub(crate) fn flush(&mut self) {
        self.exchange.hand_over(self.leg, &mut self.gathered);
    }

    fn gathers(&mut self, chunk: &Bytes, at_us: u64) -> bool {
        let time = ChunkTime { offset: self.offset, at_us };
        self.exchange.try_gather(self.leg, time, chunk, &mut self.gathered)
    }

    /// The other side gets the chunk only now that it is held back no longer.
    fn let_go(&mut self, chunk: Bytes) -> Bytes {
        self.exchange.progress();
        self.exchange.held(self.leg, Duration::ZERO);
        self.passed(chunk)
    }

    fn passed(&mut self, chunk: Bytes) -> Bytes {
        self.offset += chunk.len() as u64;
        chunk
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        if self.is_holding() {
            self.exchange.held(self.leg, Duration::ZERO);
        }
        self.flush();
    }
}
