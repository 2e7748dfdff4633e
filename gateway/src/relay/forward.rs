//! A call's way to its provider and back.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::timeout;
use verbatim_core::model::{Attempt, Outcome, RecordMode};
use verbatim_listen::Busy;

use super::admit::{Admitted, Refused};
use super::answer::{Refusal, json_answer, stamp};
use super::answer_body::{InFlight, OnCut, RelayedBody, durable, unconfirmed};
use super::timers::{TimedOut, Timers};
use super::{AnswerBody, Peer, Relay, RequestBody, cors, watch};
use crate::capture::{Call, EndWithheld, Stage};
use crate::config::Provider;
use crate::errors::error_body;
use crate::headers;
use crate::route::Route;
use crate::upstream::{Failure, Unanswered, UpstreamBody};

impl Relay {
    /// Answers a call.
    pub(crate) async fn serve(
        self: Arc<Self>,
        peer: Peer,
        busy: Busy,
        request: Request<Incoming>,
    ) -> Response<AnswerBody> {
        let began = Instant::now();
        let origin = cors::allowed(&self.cors, request.headers());
        if let Some(origin) = &origin
            && cors::is_preflight(request.method(), request.headers())
        {
            return cors::preflight(origin.clone(), request.headers());
        }
        let mut answer = self.answer(peer, busy, request, began).await;
        if let Some(origin) = origin {
            cors::admit(origin, answer.headers_mut());
        }
        answer
    }

    async fn answer(
        self: &Arc<Self>,
        peer: Peer,
        busy: Busy,
        mut request: Request<Incoming>,
        began: Instant,
    ) -> Response<AnswerBody> {
        let method = request.method();
        let get = *method == Method::GET || *method == Method::HEAD;
        let path = request.uri().path();
        let route = self.routes.find(get, path, request.headers());
        if let Route::Own(endpoint) = route {
            return self.own(endpoint, method);
        }
        // Nothing leaves HTTP before its body is through: with a body it is a call like any other (RFC 9110,
        // section 7.8, lets a server pass over the wish).
        let upgrade = headers::upgrade(request.headers()).filter(|_| request.body().is_end_stream()).cloned();
        let leaves = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        let in_flight = InFlight::new(Arc::clone(self), busy);
        let (head, body) = request.into_parts();
        let (method, version) = (head.method.clone(), head.version);
        let admitted = match self.admit(peer, began, head) {
            Ok(admitted) => admitted,
            Err(refused) => {
                let Refused { call, dialect, refusal } = *refused;
                return self.refuse(call, dialect, &method, version, refusal).await;
            }
        };
        if admitted.call.exchange().is_required() && !self.is_accepted(&admitted.call).await {
            let message = "the call can't be recorded now, and this gateway forwards no call unrecorded";
            let refusal = Refusal::refused(StatusCode::SERVICE_UNAVAILABLE, &message);
            let Admitted { call, provider, .. } = admitted;
            return self.refuse(call, provider.dialect, &method, version, refusal).await;
        }
        match (upgrade, leaves) {
            (Some(protocol), Some(leaves)) => self.tunnel(admitted, protocol, leaves, in_flight).await,
            _ => self.forward(admitted, body, in_flight).await,
        }
    }

    /// Whether a call is accepted: its start is durable.
    async fn is_accepted(&self, call: &Call) -> bool {
        let started = Arc::clone(call.exchange()).durable(Stage::Started);
        let stage = timeout(self.durable_within(), started).await;
        stage.is_ok_and(|stage| matches!(stage, Stage::Started | Stage::Ended))
    }

    /// Forwards a call.
    async fn forward(
        self: &Arc<Self>,
        mut admitted: Admitted,
        body: Incoming,
        in_flight: InFlight,
    ) -> Response<AnswerBody> {
        let exchange = Arc::clone(admitted.call.exchange());
        let is_json = admitted.headers.get(CONTENT_TYPE).is_none_or(|value| {
            let value = value.as_bytes();
            value.windows(4).any(|window| window.eq_ignore_ascii_case(b"json"))
        });
        let scan = is_json && exchange.mode() != RecordMode::Off;
        let waits_for_continue = admitted.headers.contains_key(EXPECT);
        let mut request = Request::new(RequestBody::new(body, Arc::clone(&exchange), scan));
        *request.method_mut() = admitted.method.clone();
        *request.uri_mut() = admitted.uri.clone();
        *request.headers_mut() = std::mem::take(&mut admitted.headers);
        let mut timers = Timers::new(admitted.began, self.timeouts);
        let sent_us = exchange.progress();
        let answered = {
            let mut calling = pin!(self.upstream.call(request));
            poll_fn(|cx| match calling.as_mut().poll(cx) {
                Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
                Poll::Ready(Err(Unanswered { failure, unsent })) => {
                    Poll::Ready(Err((NoAnswer::Failure(failure), unsent)))
                }
                Poll::Pending => timers.poll(cx, &exchange).map(|out| Err((NoAnswer::TimedOut(out), None))),
            })
            .await
        };
        let head_us = exchange.progress();
        timers.answered();
        match answered {
            Ok(response) => self.relay(admitted, response, timers, in_flight, [sent_us, head_us]).await,
            Err((no_answer, unsent)) => {
                if let Some(body) = unsent.filter(|_| !waits_for_continue) {
                    body.take_in().await;
                }
                self.no_answer(admitted, no_answer, sent_us).await
            }
        }
    }

    /// Passes a provider's answer on.
    pub(super) async fn relay(
        &self,
        admitted: Admitted,
        response: Response<UpstreamBody>,
        timers: Timers,
        in_flight: InFlight,
        [sent_us, head_us]: [u64; 2],
    ) -> Response<AnswerBody> {
        let Admitted { mut call, provider, uri, method, version, peer, began, .. } = admitted;
        let (mut head, upstream) = response.into_parts();
        let status = head.status.as_u16();
        let relay_us = self.answered(&mut call, &provider, &uri, status, [sent_us, head_us]);
        headers::strip_response(&mut head.headers);
        stamp(&mut head.headers, call.exchange().id(), relay_us);
        call.answer_head(version, status, &head.headers, &self.redactor);
        let on_cut = OnCut {
            reset: peer.reset,
            may_reset: version < Version::HTTP_2,
            must_reset: version < Version::HTTP_11 && !head.headers.contains_key(CONTENT_LENGTH),
        };
        let mut body = RelayedBody::new(upstream, call, timers, in_flight, on_cut, self.durable_within());
        let no_body = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if body.is_empty() || no_body || method == Method::HEAD {
            body.end_empty();
            // Where nothing follows, the head is the end that waits for the record.
            if body.call().exchange().is_required() && !durable(body.call(), self.durable_within()).await {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let withheld =
                    EndWithheld { status: Some(status.as_u16()), ..unconfirmed(self.durable_within()) };
                body.call().exchange().withhold_end(withheld);
                let why = "the call was answered, but its record could not be kept";
                let mut answer = json_answer(status, error_body(provider.dialect, status, why));
                stamp(answer.headers_mut(), body.call().exchange().id(), relay_us);
                return answer;
            }
        } else {
            watch::begin(body.call().exchange(), began, self.timeouts);
        }
        let mut answer = Response::new(AnswerBody::Relayed(Box::new(body)));
        *answer.status_mut() = head.status;
        *answer.headers_mut() = head.headers;
        answer
    }

    /// Notes that a provider answered; gives the microseconds that the relay itself took so far.
    pub(super) fn answered(
        &self,
        call: &mut Call,
        provider: &Provider,
        uri: &Uri,
        status: u16,
        [sent_us, head_us]: [u64; 2],
    ) -> u64 {
        let relay_us = sent_us + call.exchange().now_us().saturating_sub(head_us);
        let url = if call.exchange().mode() == RecordMode::Off { String::new() } else { self.shown(uri) };
        call.attempt(Attempt {
            provider: provider.name.clone(),
            url,
            status: Some(status),
            error: None,
            started_us: sent_us,
            ended_us: Some(head_us),
        });
        call.note(|end| end.relay_us = Some(relay_us));
        relay_us
    }

    /// Tells the caller that its provider gave no answer.
    pub(super) async fn no_answer(
        &self,
        mut admitted: Admitted,
        no_answer: NoAnswer,
        sent_us: u64,
    ) -> Response<AnswerBody> {
        let exchange = Arc::clone(admitted.call.exchange());
        let message = no_answer.to_string();
        let url = if exchange.mode() == RecordMode::Off { String::new() } else { self.shown(&admitted.uri) };
        admitted.call.attempt(Attempt {
            provider: admitted.provider.name.clone(),
            url,
            status: None,
            error: Some(message.clone()),
            started_us: sent_us,
            ended_us: Some(exchange.now_us()),
        });
        if exchange.is_client_gone() {
            let why = "the caller left while it was sending";
            admitted.call.end(Outcome::ClientAborted, Some(why.to_owned()));
            // As a rule nobody is there to get it: it belongs to no record.
            let status = StatusCode::BAD_REQUEST;
            return json_answer(status, error_body(admitted.provider.dialect, status, why));
        }
        let (status, outcome) = match no_answer {
            NoAnswer::TimedOut(TimedOut::NoRoom(_)) => (StatusCode::SERVICE_UNAVAILABLE, Outcome::TimedOut),
            NoAnswer::TimedOut(_) | NoAnswer::Failure(Failure::ConnectTimeout(_)) => {
                (StatusCode::GATEWAY_TIMEOUT, Outcome::TimedOut)
            }
            NoAnswer::Failure(_) => (StatusCode::BAD_GATEWAY, Outcome::UpstreamAborted),
        };
        let message = match no_answer {
            // That is no fault of the provider's.
            NoAnswer::TimedOut(TimedOut::NoRoom(_)) => message,
            _ => format!("{}: {message}", admitted.provider.name),
        };
        let refusal = Refusal { status, outcome, message };
        let Admitted { call, provider, method, version, .. } = admitted;
        self.refuse(call, provider.dialect, &method, version, refusal).await
    }
}

/// Why no answer's head came.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// The provider's fault, or the way's.
    #[error(transparent)]
    Failure(Failure),
    /// It took too long.
    #[error(transparent)]
    TimedOut(TimedOut),
}
