//! An answer's body on its way to the caller.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::timeout;
use verbatim_core::model::{Leg, Outcome};
use verbatim_listen::Busy;

use super::Relay;
use super::abort::Abort;
use super::timers::Timers;
use crate::capture::{Call, EndWithheld, Stage, Tee};
use crate::redact::Redactor;
use crate::upstream::{UpstreamBody, chain, is_reset};

/// What the caller gets.
pub(crate) enum AnswerBody {
    /// An answer of the gateway's own.
    Own(Option<Bytes>),
    /// A provider's answer.
    Relayed(Box<RelayedBody>),
}

/// A provider's answer: recorded as it passes, within its times, and accounted for however it ends.
pub(crate) struct RelayedBody {
    upstream: UpstreamBody,
    tee: Tee,
    call: Call,
    timers: Timers,
    in_flight: InFlight,
    state: State,
    /// Behind so many bytes hyper asks for no more: an HTTP/1 caller then has what was announced.
    ends_at: Option<u64>,
    /// Where the framing does not show that an answer was cut, the connection has to.
    on_cut: OnCut,
    durable_within: Duration,
}

/// How the caller's connection is told.
pub(crate) struct OnCut {
    pub(crate) reset: Arc<AtomicBool>,
    /// Resetting the connection harms no other call, as it would with HTTP/2.
    pub(crate) may_reset: bool,
    /// Without a reset the caller would take the cut for the end.
    pub(crate) must_reset: bool,
}

/// Counts a call as under way for as long as it lives, here and for its connection.
pub(crate) struct InFlight {
    relay: Arc<Relay>,
    _busy: Busy,
}

impl InFlight {
    pub(crate) fn new(relay: Arc<Relay>, busy: Busy) -> Self {
        relay.gauges.in_flight.fetch_add(1, Relaxed);
        Self { relay, _busy: busy }
    }

    fn redactor(&self) -> &Redactor {
        &self.relay.redactor
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.relay.gauges.in_flight.fetch_sub(1, Relaxed);
    }
}

enum State {
    Passing,
    /// The last of it waits for the record to be durable.
    Withheld {
        last: Option<Frame<Bytes>>,
        durable: Pin<Box<dyn Future<Output = bool> + Send>>,
    },
    /// What came before is on its way to the caller; then the answer is cut.
    Cutting,
    Over,
}

impl RelayedBody {
    pub(crate) fn new(
        upstream: UpstreamBody,
        call: Call,
        timers: Timers,
        in_flight: InFlight,
        on_cut: OnCut,
        durable_within: Duration,
    ) -> Self {
        let tee = Tee::new(Arc::clone(call.exchange()), Leg::ClientResponse);
        // On HTTP/2, where no connection may be reset, hyper asks to the very end, and trailers may come.
        let ends_at = upstream.size_hint().exact().filter(|_| on_cut.may_reset);
        Self {
            upstream,
            tee,
            call,
            timers,
            in_flight,
            state: State::Passing,
            ends_at,
            on_cut,
            durable_within,
        }
    }

    /// Ends a call whose answer has no body.
    pub(crate) fn end_empty(&mut self) {
        self.upstream.release();
        self.call.end_answered();
        self.state = State::Over;
    }

    /// Whether nothing follows the head.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_through()
    }

    /// Whether the last of it has passed. An HTTP/2 provider may say so only behind the last byte, when hyper asks
    /// no more.
    fn is_through(&self) -> bool {
        self.upstream.is_end_stream() || self.ends_at == Some(self.tee.offset())
    }

    pub(crate) const fn call(&self) -> &Call {
        &self.call
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
        loop {
            match &mut self.state {
                State::Passing => {}
                State::Over => return Poll::Ready(None),
                State::Cutting => {
                    self.state = State::Over;
                    return Poll::Ready(Some(Err(Abort::Cut)));
                }
                State::Withheld { last, durable } => {
                    let durable = ready!(durable.as_mut().poll(cx));
                    let last = last.take();
                    self.state = State::Over;
                    if !durable {
                        self.call.exchange().withhold_end(unconfirmed(self.durable_within));
                        self.reset_if(self.on_cut.must_reset);
                        return Poll::Ready(Some(Err(Abort::Unrecorded)));
                    }
                    return Poll::Ready(last.map(Ok));
                }
            }
            // A provider that always has more ready never lets the timers be asked.
            if let Some(timed_out) = self.timers.total_is_over(self.tee.exchange()) {
                return self.cut(cx, Outcome::TimedOut, timed_out.to_string(), false);
            }
            let passed = if self.tee.is_holding() {
                self.tee.poll_held(cx)
            } else {
                match Pin::new(&mut self.upstream).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(chunk) => self.tee.poll_pass(cx, chunk),
                        Err(frame) => {
                            if let Ok(trailers) = frame.into_trailers() {
                                self.call.trailers(&trailers, self.in_flight.redactor());
                                // They are the last frame, and hyper asks no more behind them.
                                if let Some(last) = self.finish(Some(Frame::trailers(trailers))) {
                                    return Poll::Ready(Some(Ok(last)));
                                }
                            }
                            continue;
                        }
                    },
                    Poll::Ready(None) => {
                        self.finish(None);
                        continue;
                    }
                    Poll::Ready(Some(Err(error))) => {
                        let reset = is_reset(&error);
                        let message = format!("the provider broke the answer off: {}", chain(&error));
                        return self.cut(cx, Outcome::UpstreamAborted, message, reset);
                    }
                    Poll::Pending => Poll::Pending,
                }
            };
            // Either the provider has nothing, or the record has no room.
            let Poll::Ready(chunk) = passed else {
                self.tee.flush();
                let timed_out = ready!(self.timers.poll(cx, self.tee.exchange()));
                return self.cut(cx, Outcome::TimedOut, timed_out.to_string(), false);
            };
            if self.tee.offset() == chunk.len() as u64 {
                self.call.first_byte();
            }
            if self.is_through() {
                let frame = self.finish(Some(Frame::data(chunk)));
                match frame {
                    Some(frame) => return Poll::Ready(Some(Ok(frame))),
                    None => continue,
                }
            }
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
    }

    /// The answer came whole. Its last frame passes, unless the record has to be durable first.
    fn finish(&mut self, last: Option<Frame<Bytes>>) -> Option<Frame<Bytes>> {
        self.upstream.release();
        self.tee.flush();
        self.call.end_answered();
        if !self.call.exchange().is_required() {
            self.state = State::Over;
            return last;
        }
        let durable = durable(&self.call, self.durable_within);
        self.state = State::Withheld { last, durable: Box::pin(durable) };
        None
    }

    /// Breaks the answer off, once hyper had the chance to send what it has.
    fn cut(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Outcome,
        why: String,
        reset: bool,
    ) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
        self.tee.flush();
        self.call.end(outcome, Some(why));
        self.reset_if(reset || self.on_cut.must_reset);
        self.state = State::Cutting;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn reset_if(&self, reset: bool) {
        if reset && self.on_cut.may_reset {
            self.on_cut.reset.store(true, Relaxed);
        }
    }
}

/// Hyper drops it where the caller leaves while the last of it waits for the record.
impl Drop for RelayedBody {
    fn drop(&mut self) {
        if matches!(self.state, State::Withheld { .. }) {
            self.call.dropped_before_its_end();
        }
    }
}

/// What a record says whose caller did not get the end, because nothing confirmed the record in time.
pub(crate) fn unconfirmed(within: Duration) -> EndWithheld {
    let why = format!(
        "neither capture log nor spool confirmed the call's end within {within:?}, and this gateway passes nothing on \
         unrecorded (acknowledge): the caller did not get the end of the answer"
    );
    EndWithheld { outcome: Outcome::TimedOut, why, status: None }
}

/// Waits until all of a call's record is durable; `false` if it can't be, or not in time.
pub(crate) fn durable(call: &Call, within: Duration) -> impl Future<Output = bool> + Send + use<> {
    let durable = Arc::clone(call.exchange()).durable(Stage::Ended);
    async move { timeout(within, durable).await.is_ok_and(|stage| stage == Stage::Ended) }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Abort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Abort>>> {
        match &mut *self {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Relayed(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Relayed(body) => matches!(body.state, State::Over),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Relayed(body) if matches!(body.state, State::Passing) => body.upstream.size_hint(),
            Self::Relayed(_) => SizeHint::default(),
        }
    }
}
