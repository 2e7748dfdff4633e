//! Calls that leave HTTP, such as WebSockets: bytes pass both ways, and are recorded as the two legs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use verbatim_core::model::{Leg, Outcome};

use super::admit::Admitted;
use super::answer::stamp;
use super::answer_body::InFlight;
use super::forward::NoAnswer;
use super::timers::{TimedOut, Timers};
use super::websocket::CloseWatch;
use super::{AnswerBody, Relay, RequestBody};
use crate::capture::{Call, Exchange, Tee};
use crate::config::Timeouts;
use crate::headers;
use crate::upstream::{Failure, UpstreamBody};

const BUFFER: usize = 16 * 1024;

impl Relay {
    /// Forwards a call that asks to leave HTTP for `protocol`.
    pub(super) async fn tunnel(
        self: &Arc<Self>,
        mut admitted: Admitted,
        protocol: HeaderValue,
        leaves: OnUpgrade,
        in_flight: InFlight,
    ) -> Response<AnswerBody> {
        let exchange = Arc::clone(admitted.call.exchange());
        let is_websocket = protocol.as_bytes().eq_ignore_ascii_case(b"websocket");
        let mut request = Request::new(RequestBody::empty(Arc::clone(&exchange)));
        *request.method_mut() = admitted.method.clone();
        *request.uri_mut() = admitted.uri.clone();
        *request.headers_mut() = std::mem::take(&mut admitted.headers);
        let with_upgrade = |headers: &mut http::HeaderMap, protocol| {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, protocol);
        };
        with_upgrade(request.headers_mut(), protocol);
        let sent_us = exchange.progress();
        let first_byte = self.timeouts.first_byte.min(self.timeouts.total);
        let answered = timeout(first_byte, self.upstream.call_upgrade(request)).await;
        let head_us = exchange.progress();
        let mut response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(failure)) => return self.no_answer(admitted, NoAnswer::Failure(failure), sent_us).await,
            Err(_) => {
                let timed_out = NoAnswer::TimedOut(TimedOut::FirstByte(first_byte));
                return self.no_answer(admitted, timed_out, sent_us).await;
            }
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let mut timers = Timers::new(admitted.began, self.timeouts);
            timers.answered();
            let response = response.map(UpstreamBody::shared);
            return self.relay(admitted, response, timers, in_flight, [sent_us, head_us]).await;
        }
        let arrives = hyper::upgrade::on(&mut response);
        let Some(agreed) = response.headers().get(UPGRADE).cloned() else {
            let failure = NoAnswer::Failure(Failure::NoProtocol);
            return self.no_answer(admitted, failure, sent_us).await;
        };
        let status = response.status();
        let relay_us =
            self.answered(&mut admitted.call, &admitted.provider, &admitted.uri, 101, [sent_us, head_us]);
        let mut answer = Response::new(AnswerBody::Own(None));
        *answer.status_mut() = status;
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        headers::strip_response(answer.headers_mut());
        with_upgrade(answer.headers_mut(), agreed);
        stamp(answer.headers_mut(), exchange.id(), relay_us);
        admitted.call.answer_head(admitted.version, 101, answer.headers(), &self.redactor);
        let tunnel =
            Tunnel { call: admitted.call, is_websocket, timeouts: self.timeouts, _in_flight: in_flight };
        let interrupt = self.hard_stop.clone();
        self.tunnels.spawn(async move {
            // The call says itself that it was interrupted when it is dropped.
            tokio::select! {
                () = tunnel.run(leaves, arrives) => {}
                () = interrupt.cancelled() => {}
            }
        });
        answer
    }
}

struct Tunnel {
    call: Call,
    is_websocket: bool,
    timeouts: Timeouts,
    _in_flight: InFlight,
}

/// Which side ended a direction, and how.
enum Ended {
    /// The side that sends said so.
    Closed,
    /// The side that sends broke off.
    Read(io::Error),
    /// The side that receives broke off.
    Write(io::Error),
    /// Nothing passed either way for too long.
    Idle,
    /// The record, which is required, took nothing more.
    NoRoom(TimedOut),
}

impl Tunnel {
    async fn run(mut self, leaves: OnUpgrade, arrives: OnUpgrade) {
        let (client, upstream) = match tokio::try_join!(leaves, arrives) {
            Ok(both) => both,
            Err(error) => {
                let message = format!("a side did not leave HTTP: {error}");
                return self.call.end(Outcome::UpstreamAborted, Some(message));
            }
        };
        let (mut client_read, mut client_write) = tokio::io::split(TokioIo::new(client));
        let (mut upstream_read, mut upstream_write) = tokio::io::split(TokioIo::new(upstream));
        let exchange = Arc::clone(self.call.exchange());
        let mut up = Direction::new(&exchange, Leg::ClientRequest, self.timeouts);
        let mut down = Direction::new(&exchange, Leg::ClientResponse, self.timeouts);
        let (client_first, ended) = {
            let up_runs = up.run(&mut client_read, &mut upstream_write);
            let down_runs = down.run(&mut upstream_read, &mut client_write);
            tokio::pin!(up_runs, down_runs);
            tokio::select! {
                ended = &mut up_runs => {
                    // What the other side still has to say passes, unless this one broke off.
                    if matches!(ended, Ended::Closed) { let _ = down_runs.await; }
                    (true, ended)
                }
                ended = &mut down_runs => {
                    if matches!(ended, Ended::Closed) { let _ = timeout(Duration::from_secs(1), up_runs).await; }
                    (false, ended)
                }
            }
        };
        let codes = [("client", up.close.code()), ("upstream", down.close.code())];
        let closed = codes.iter().find_map(|(side, code)| Some((*side, (*code)?)));
        if let (true, Some((side, code))) = (self.is_websocket, closed) {
            self.call.note(|end| {
                end.facts.push(("websocket_close_code", code.to_string()));
                end.facts.push(("websocket_closed_by", side.to_owned()));
            });
        }
        let was_closed = closed.is_some() || !self.is_websocket;
        let (outcome, error) = outcome(client_first, &ended, was_closed);
        self.call.end(outcome, error);
    }
}

/// How a tunnel ended, from the first direction that did.
fn outcome(client_first: bool, ended: &Ended, was_closed: bool) -> (Outcome, Option<String>) {
    let client_left = match ended {
        Ended::Idle => return (Outcome::TimedOut, Some("nothing passed the tunnel for too long".to_owned())),
        Ended::NoRoom(timed_out) => return (Outcome::TimedOut, Some(timed_out.to_string())),
        _ if was_closed => return (Outcome::Completed, None),
        Ended::Closed | Ended::Read(_) => client_first,
        Ended::Write(_) => !client_first,
    };
    let why = match ended {
        Ended::Read(error) | Ended::Write(error) => error.to_string(),
        Ended::Closed | Ended::Idle | Ended::NoRoom(_) => "closed without a close frame".to_owned(),
    };
    if client_left {
        (Outcome::ClientAborted, Some(format!("the caller left: {why}")))
    } else {
        (Outcome::UpstreamAborted, Some(format!("the provider left: {why}")))
    }
}

struct Direction {
    tee: Tee,
    close: CloseWatch,
    exchange: Arc<Exchange>,
    timeouts: Timeouts,
}

impl Direction {
    fn new(exchange: &Arc<Exchange>, leg: Leg, timeouts: Timeouts) -> Self {
        let tee = Tee::new(Arc::clone(exchange), leg);
        Self { tee, close: CloseWatch::default(), exchange: Arc::clone(exchange), timeouts }
    }

    async fn run(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Ended {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(BUFFER);
            match self.read(from, &mut buffer).await {
                Ok(0) => {
                    // The other direction may go on.
                    return match to.shutdown().await {
                        Ok(()) => Ended::Closed,
                        Err(error) => Ended::Write(error),
                    };
                }
                Ok(_) => {}
                Err(ended) => return ended,
            }
            let chunk = buffer.split().freeze();
            self.close.feed(&chunk);
            let chunk = match self.pass(chunk).await {
                Ok(chunk) => chunk,
                Err(no_room) => return Ended::NoRoom(no_room),
            };
            let written = async {
                to.write_all(&chunk).await?;
                to.flush().await
            };
            if let Err(error) = written.await {
                return Ended::Write(error);
            }
        }
    }

    /// Reads, as long as something passes in one direction or the other.
    async fn read(&self, from: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> Result<usize, Ended> {
        loop {
            match timeout(self.timeouts.idle, from.read_buf(buffer)).await {
                Ok(read) => return read.map_err(Ended::Read),
                Err(_) => {
                    let quiet = self.exchange.now_us().saturating_sub(self.exchange.progress_us());
                    if Duration::from_micros(quiet) >= self.timeouts.idle {
                        return Err(Ended::Idle);
                    }
                }
            }
        }
    }

    async fn pass(&mut self, chunk: Bytes) -> Result<Bytes, TimedOut> {
        let mut chunk = Some(chunk);
        let passed = std::future::poll_fn(|cx| match chunk.take() {
            Some(chunk) => self.tee.poll_pass(cx, chunk),
            None => self.tee.poll_held(cx),
        });
        // Only a record that is required is waited for so long.
        let patience = self.timeouts.recorded();
        let passed = timeout(patience, passed).await;
        self.tee.flush();
        passed.map_err(|_| TimedOut::NoRoom(patience))
    }
}
