//! One HTTP/1.1 connection, driven by the call that uses it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri, Version};
use hyper::client::conn::{http1, http2};

use super::connect::Io;
use super::pool::Pool;
use super::{Origin, UpstreamBody};
use crate::relay::RequestBody;

/// A connection and the future that moves its bytes.
pub(super) struct Driver {
    sender: http1::SendRequest<RequestBody>,
    connection: http1::Connection<Io, RequestBody>,
    closed: bool,
}

/// Why a call on a connection got no answer.
pub(super) enum NotAnswered {
    /// The connection was closed before anything of the call was written.
    Unsent(Box<Request<RequestBody>>),
    /// It broke.
    Failed(hyper::Error),
}

impl Driver {
    pub(super) async fn open(io: Io) -> Result<Box<Self>, hyper::Error> {
        let (sender, connection) = http1::Builder::new().handshake(io).await?;
        Ok(Box::new(Self { sender, connection, closed: false }))
    }

    /// Moves bytes both ways as far as sockets allow.
    pub(super) fn poll_drive(&mut self, cx: &mut Context<'_>) {
        if !self.closed && Pin::new(&mut self.connection).poll(cx).is_ready() {
            // Its error, if there is one, also reaches the call.
            self.closed = true;
        }
    }

    /// Whether the next call can be sent on it.
    pub(super) fn is_reusable(&self) -> bool {
        !self.closed && self.sender.is_ready()
    }

    /// Sends a call and waits for the head of its answer.
    pub(super) async fn send(
        mut self: Box<Self>,
        request: Request<RequestBody>,
        origin: &Origin,
        pool: &Arc<Pool>,
    ) -> Result<Response<UpstreamBody>, NotAnswered> {
        // One that the provider closed meanwhile shows it now.
        poll_fn(|cx| {
            self.poll_drive(cx);
            Poll::Ready(())
        })
        .await;
        if !self.is_reusable() {
            return Err(NotAnswered::Unsent(Box::new(request)));
        }
        let mut answer = pin!(self.sender.try_send_request(origin_form(request)));
        let answered = poll_fn(|cx| {
            if let Poll::Ready(answered) = answer.as_mut().poll(cx) {
                return Poll::Ready(answered);
            }
            if !self.closed && Pin::new(&mut self.connection).poll(cx).is_ready() {
                self.closed = true;
            }
            answer.as_mut().poll(cx)
        })
        .await;
        match answered {
            Ok(response) => {
                let (head, body) = response.into_parts();
                let body = UpstreamBody::driven(body, self, origin.clone(), Arc::clone(pool));
                Ok(Response::from_parts(head, body))
            }
            Err(mut error) => match error.take_message() {
                Some(request) => Err(NotAnswered::Unsent(Box::new(request))),
                None => Err(NotAnswered::Failed(error.into_error())),
            },
        }
    }
}

/// Sends a call on a shared connection.
pub(super) async fn send_http2(
    mut sender: http2::SendRequest<RequestBody>,
    mut request: Request<RequestBody>,
) -> Result<Response<UpstreamBody>, NotAnswered> {
    if sender.ready().await.is_err() {
        return Err(NotAnswered::Unsent(Box::new(request)));
    }
    *request.version_mut() = Version::HTTP_2;
    match sender.try_send_request(request).await {
        Ok(response) => Ok(response.map(UpstreamBody::shared)),
        Err(mut error) => match error.take_message() {
            Some(request) => Err(NotAnswered::Unsent(Box::new(request))),
            None => Err(NotAnswered::Failed(error.into_error())),
        },
    }
}

/// A request as HTTP/1.1 writes it: path and query alone in its first line, and the host as a header.
pub(super) fn origin_form<B>(mut request: Request<B>) -> Request<B> {
    if let Some(authority) = request.uri().authority() {
        if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
            request.headers_mut().insert(HOST, host);
        }
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    }
    *request.version_mut() = Version::HTTP_11;
    request
}
