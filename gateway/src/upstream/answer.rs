//! The body of a provider's answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::Origin;
use super::driver::Driver;
use super::pool::Pool;

/// A body, and the connection it comes from: reading the one drives the other. Once it is read to its end, the
/// connection goes back to the pool; dropped before, the connection is closed, which cancels the call.
pub(crate) struct UpstreamBody {
    incoming: Incoming,
    driven: Option<Driven>,
}

struct Driven {
    driver: Box<Driver>,
    origin: Origin,
    pool: Arc<Pool>,
}

impl UpstreamBody {
    pub(super) fn driven(incoming: Incoming, driver: Box<Driver>, origin: Origin, pool: Arc<Pool>) -> Self {
        Self { incoming, driven: Some(Driven { driver, origin, pool }) }
    }

    /// A body whose connection is driven elsewhere.
    pub(crate) const fn shared(incoming: Incoming) -> Self {
        Self { incoming, driven: None }
    }

    /// The body was read to its end: keeps its connection, if that can take another call.
    pub(crate) fn release(&mut self) {
        if let Some(Driven { mut driver, origin, pool }) = self.driven.take() {
            // Nobody is to be woken for a connection that waits for its next call.
            driver.poll_drive(&mut Context::from_waker(Waker::noop()));
            if driver.is_reusable() {
                pool.put(&origin, driver);
            }
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let Some(driven) = &mut this.driven else { return Poll::Pending };
        driven.driver.poll_drive(cx);
        Pin::new(&mut this.incoming).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
