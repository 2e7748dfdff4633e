//! A request's body on its way to the provider.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;
use verbatim_core::model::Leg;

use crate::capture::{Exchange, Tee, settle_scan};
use crate::scan::Scan;

/// How long a caller may take to send what only the record is to have.
const TAKEN_IN_WITHIN: Duration = Duration::from_secs(2);

/// What the caller sends, recorded as it passes, and looked through for what it asks for.
pub(crate) struct RequestBody {
    incoming: Option<Incoming>,
    tee: Tee,
    scan: Option<Box<Scan>>,
    /// What its head announced.
    length: Option<u64>,
}

impl RequestBody {
    /// A body that is recorded; with `scan`, it is JSON.
    pub(crate) fn new(incoming: Incoming, exchange: std::sync::Arc<Exchange>, scan: bool) -> Self {
        let scan = (scan && !incoming.is_end_stream()).then(Box::default);
        let length = incoming.size_hint().exact();
        let tee = Tee::new(exchange, Leg::ClientRequest);
        let mut body = Self { incoming: Some(incoming), tee, scan, length };
        if body.is_through() {
            body.finished();
        }
        body
    }

    /// No body.
    pub(crate) fn empty(exchange: std::sync::Arc<Exchange>) -> Self {
        exchange.request_done();
        Self { incoming: None, tee: Tee::new(exchange, Leg::ClientRequest), scan: None, length: None }
    }

    /// Takes in what has not passed, so that the record holds what was asked though there was nobody to ask. What does
    /// not come in time of an announced length is declared lost.
    pub(crate) async fn take_in(mut self) {
        let rest = async { while let Some(Ok(_)) = self.frame().await {} };
        let is_late = timeout(TAKEN_IN_WITHIN, rest).await.is_err();
        if let Some(length) = self.length.filter(|_| is_late) {
            let missing = length.saturating_sub(self.tee.offset());
            self.tee.exchange().lose(Leg::ClientRequest, usize::try_from(missing).unwrap_or(usize::MAX));
        }
    }

    /// Whether the last byte has passed. An HTTP/2 caller may end its request only behind it, when an HTTP/1
    /// connection to a provider asks no more.
    fn is_through(&self) -> bool {
        self.is_end_stream() || self.length == Some(self.tee.offset())
    }

    fn finished(&mut self) {
        if let Some(scan) = self.scan.take() {
            settle_scan(self.tee.exchange(), &scan);
        }
        self.tee.exchange().request_done();
    }

    fn look_at(&mut self, chunk: &[u8]) {
        if let Some(scan) = &mut self.scan {
            scan.feed(chunk);
            if scan.is_done() {
                settle_scan(self.tee.exchange(), scan);
                self.scan = None;
            }
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let chunk = if this.tee.is_holding() {
            ready!(this.tee.poll_held(cx))
        } else {
            let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
            let frame = match ready!(Pin::new(incoming).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    this.tee.exchange().client_gone();
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    this.finished();
                    return Poll::Ready(None);
                }
            };
            match frame.into_data() {
                Ok(chunk) => {
                    this.look_at(&chunk);
                    ready!(this.tee.poll_pass(cx, chunk))
                }
                Err(trailers) => {
                    // hyper asks no more behind them.
                    this.finished();
                    return Poll::Ready(Some(Ok(trailers)));
                }
            }
        };
        // The answer may end, and with it the exchange, before hyper asks for more of this.
        this.tee.flush();
        if this.is_through() {
            this.finished();
        }
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        !self.tee.is_holding() && self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        // A chunk that is held back was taken off what is left; hyper asks before the first.
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
