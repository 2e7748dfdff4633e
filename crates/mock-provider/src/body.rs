//! The response's body on its way out: cut into writes, paced, broken off, and tallied.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use crate::connection::Control;
use crate::directives::{Fault, FaultKind, FaultPoint};
use crate::ledger::{Counted, Ending, Record};

/// Where the bytes come from.
pub(crate) enum Source {
    /// They are there, and go out in one write.
    Whole(Bytes),
    /// They are there; the ends of the writes they go out in, rising, the last being their length.
    Cut { bytes: Bytes, ends: Arc<[usize]>, next: usize },
    /// So many pseudo-random ones.
    Random { state: u64, left: u64, write: usize },
    /// The request's body, as it comes.
    Echo(Incoming),
}

impl Source {
    fn is_finished(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Cut { ends, next, .. } => *next >= ends.len(),
            Self::Random { left, .. } => *left == 0,
            Self::Echo(incoming) => incoming.is_end_stream(),
        }
    }

    /// How many bytes are still to come; not known of an echo.
    pub(crate) fn left(&self) -> Option<u64> {
        match self {
            Self::Whole(bytes) => Some(bytes.len() as u64),
            Self::Cut { bytes, ends, next } => {
                let start = next.checked_sub(1).map_or(0, |last| ends[last]);
                Some((bytes.len() - start) as u64)
            }
            Self::Random { left, .. } => Some(*left),
            Self::Echo(_) => None,
        }
    }
}

/// When the chunks go out, and what goes wrong.
#[derive(Default)]
pub(crate) struct Pacing {
    pub(crate) delay: Duration,
    pub(crate) flush: bool,
    pub(crate) fault: Option<Fault>,
}

impl Pacing {
    fn is_plain(&self) -> bool {
        self.delay.is_zero() && !self.flush && self.fault.is_none()
    }
}

/// The mock broke the response off, as it was asked to.
#[derive(Debug, thiserror::Error)]
#[error("broken off by a directive")]
pub(crate) struct BrokenOff;

/// A response's body.
pub(crate) struct MockBody {
    source: Source,
    /// Whether the length is told in the head.
    sized: bool,
    chunks: usize,
    pacing: Option<Box<Paced>>,
    trailers: Option<HeaderMap>,
    record: Recorded,
    /// Everything that `Whole` and `Cut` send, of which `handed` bytes were.
    all: Bytes,
    handed: usize,
    finished: bool,
    broken: bool,
    control: Option<Arc<Control>>,
}

enum Recorded {
    Full(Box<Record>),
    Counted(Counted),
    /// There is none, or it went on to where the exchange ends.
    Over,
}

impl Recorded {
    fn full(&mut self) -> Option<&mut Record> {
        match self {
            Self::Full(record) => Some(record),
            Self::Counted(_) | Self::Over => None,
        }
    }
}

struct Paced {
    pacing: Pacing,
    /// The chunk that the sleep is before.
    slept_for: Option<usize>,
    sleep: Pin<Box<Sleep>>,
    flushes: u64,
}

/// On HTTP/2 nothing tells that a frame is written, and a reset overtakes those that are not: a fault waits so
/// long for them.
const HTTP2_GRACE: Duration = Duration::from_millis(30);

impl Paced {
    /// Ready once this was polled for this chunk so long ago.
    fn poll_sleep(&mut self, chunk: usize, delay: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if self.slept_for != Some(chunk) {
            self.slept_for = Some(chunk);
            self.sleep.set(sleep(delay));
        }
        self.sleep.as_mut().poll(cx)
    }
}

impl MockBody {
    /// A body that the ledger does not know of.
    pub(crate) fn unrecorded(source: Source) -> Self {
        Self::with_record(source, true, Recorded::Over, None)
    }

    /// A body that is sent at once, and only counted.
    pub(crate) fn counted(source: Source, sized: bool, counted: Counted) -> Self {
        Self::with_record(source, sized, Recorded::Counted(counted), None)
    }

    pub(crate) fn new(
        source: Source,
        sized: bool,
        record: Box<Record>,
        control: Option<Arc<Control>>,
    ) -> Self {
        if let Some(control) = &control {
            control.begin_body();
        }
        Self::with_record(source, sized, Recorded::Full(record), control)
    }

    fn with_record(source: Source, sized: bool, record: Recorded, control: Option<Arc<Control>>) -> Self {
        let all = match &source {
            Source::Whole(bytes) | Source::Cut { bytes, .. } => bytes.clone(),
            Source::Random { .. } | Source::Echo(_) => Bytes::new(),
        };
        Self {
            source,
            sized,
            chunks: 0,
            pacing: None,
            trailers: None,
            record,
            all,
            handed: 0,
            finished: false,
            broken: false,
            control,
        }
    }

    pub(crate) fn paced(mut self, pacing: Pacing) -> Self {
        if !pacing.is_plain() {
            let sleep = Box::pin(sleep(pacing.delay));
            // The next flush is the one that takes the head along.
            let flushes = self.control.as_ref().map_or(0, |control| control.flushes());
            self.pacing = Some(Box::new(Paced { pacing, slept_for: None, sleep, flushes }));
        }
        self
    }

    pub(crate) fn with_trailers(mut self, trailers: HeaderMap) -> Self {
        self.trailers = Some(trailers);
        self
    }

    /// Ready when the next chunk may go; an error where the response is to break off instead.
    fn poll_pace(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BrokenOff>> {
        let Some(paced) = &mut self.pacing else { return Poll::Ready(Ok(())) };
        let fault = paced.pacing.fault.filter(|fault| fault.point == FaultPoint::Chunks(self.chunks));
        if (fault.is_some() || (paced.pacing.flush && self.chunks > 0))
            && let Some(control) = &self.control
        {
            ready!(control.poll_flushed_since(paced.flushes, cx));
        }
        if fault.is_some() && self.control.is_none() {
            ready!(paced.poll_sleep(self.chunks, HTTP2_GRACE, cx));
        }
        match fault.map(|fault| fault.kind) {
            None => {}
            Some(FaultKind::Hang) => return Poll::Pending,
            Some(FaultKind::Reset) => {
                if let Some(control) = &self.control {
                    control.reset_on_close();
                }
                return Poll::Ready(Err(self.break_off(Ending::Reset)));
            }
            Some(FaultKind::Close) => return Poll::Ready(Err(self.break_off(Ending::Closed))),
        }
        if self.source.is_finished() || self.chunks == 0 || paced.pacing.delay.is_zero() {
            return Poll::Ready(Ok(()));
        }
        paced.poll_sleep(self.chunks, paced.pacing.delay, cx).map(Ok)
    }

    fn is_all_handed(&self) -> bool {
        self.source.is_finished() && self.trailers.is_none()
    }

    fn is_fault_to_come(&self) -> bool {
        self.pacing.as_ref().is_some_and(|paced| {
            matches!(paced.pacing.fault, Some(Fault { point: FaultPoint::Chunks(point), .. }) if point >= self.chunks)
        })
    }

    /// Whether the caller gets everything. A body of known length is over with its last byte.
    fn is_complete(&self) -> bool {
        !self.broken && (self.finished || (self.is_all_handed() && (self.sized || !self.is_fault_to_come())))
    }

    fn break_off(&mut self, ending: Ending) -> BrokenOff {
        self.broken = true;
        if let Some(record) = self.record.full() {
            record.end(ending);
        }
        BrokenOff
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        let piece = match &mut self.source {
            Source::Whole(bytes) if bytes.is_empty() => None,
            Source::Whole(bytes) => Some(std::mem::take(bytes)),
            Source::Cut { bytes, ends, next } => ends.get(*next).map(|end| {
                let start = next.checked_sub(1).map_or(0, |last| ends[last]);
                *next += 1;
                bytes.slice(start..*end)
            }),
            Source::Random { state, left, write } => {
                let piece = random_bytes(state, (*write as u64).min(*left));
                *left -= piece.len() as u64;
                if let Some(record) = self.record.full() {
                    record.sent(&piece);
                }
                (!piece.is_empty()).then_some(piece)
            }
            Source::Echo(incoming) => match ready!(Pin::new(incoming).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // Trailers of the request end it, and are not sent back.
                    let piece = frame.into_data().unwrap_or_default();
                    if let Some(record) = self.record.full() {
                        record.received(&piece);
                        record.sent(&piece);
                    }
                    Some(piece)
                }
                Some(Err(_)) => return Poll::Ready(Some(Err(self.break_off(Ending::PeerLeft)))),
                None => None,
            },
        };
        if let Source::Echo(incoming) = &self.source
            && (piece.is_none() || incoming.is_end_stream())
            && let Some(record) = self.record.full()
        {
            record.request_complete();
        }
        Poll::Ready(piece.map(Ok))
    }
}

impl Body for MockBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = &mut *self;
        if this.finished {
            return Poll::Ready(None);
        }
        if let Err(broken_off) = ready!(this.poll_pace(cx)) {
            return Poll::Ready(Some(Err(broken_off)));
        }
        match ready!(this.poll_piece(cx)) {
            Some(Ok(piece)) => {
                this.chunks += 1;
                this.handed += piece.len();
                if let Some(control) = &this.control {
                    control.hand_over(piece.len());
                    if let Some(paced) = &mut this.pacing {
                        paced.flushes = control.flushes();
                    }
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Some(Err(broken_off)) => Poll::Ready(Some(Err(broken_off))),
            None => match this.trailers.take() {
                Some(trailers) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                None => {
                    this.finished = true;
                    Poll::Ready(None)
                }
            },
        }
    }

    /// Said only where nothing else can come, because then the HTTP layer drops the body.
    fn is_end_stream(&self) -> bool {
        self.finished || (self.is_all_handed() && !self.is_fault_to_come())
    }

    fn size_hint(&self) -> SizeHint {
        match self.source.left() {
            Some(left) if self.sized => SizeHint::with_exact(left),
            _ => SizeHint::default(),
        }
    }
}

impl Drop for MockBody {
    fn drop(&mut self) {
        let complete = self.is_complete();
        let mut record = match std::mem::replace(&mut self.record, Recorded::Over) {
            Recorded::Full(record) => record,
            Recorded::Counted(counted) => return counted.end(self.handed, complete),
            Recorded::Over => return,
        };
        if self.handed > 0 && !self.all.is_empty() {
            record.sent_in_all(&self.all.split_to(self.handed));
        }
        match (&self.control, complete) {
            (Some(control), true) => control.complete_on_flush(*record),
            (Some(control), false) => record.flushed(control.flushed()),
            (None, true) => record.end(Ending::Completed),
            (None, false) => {}
        }
    }
}

/// The next bytes of an endless sequence (xorshift64*, Vigna 2016), eight at a time.
fn random_bytes(state: &mut u64, length: u64) -> Bytes {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 8);
    while (bytes.len() as u64) < length {
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(usize::try_from(length).unwrap_or_default());
    bytes.into()
}
