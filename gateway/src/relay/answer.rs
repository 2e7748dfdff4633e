//! Answers: the gateway's own, and what it adds to a provider's.

use std::fmt::Write;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SERVER};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use verbatim_core::model::{ExchangeId, Leg, Outcome, ProviderDialect};

use super::answer_body::durable;
use super::{AnswerBody, Relay};
use crate::capture::Call;
use crate::errors::error_body;
use crate::headers::{ID, SERVER_TIMING};

/// Why the gateway answers in a provider's place.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) outcome: Outcome,
    pub(super) message: String,
}

impl Refusal {
    /// The call itself is at fault.
    pub(super) fn refused(status: StatusCode, message: &impl ToString) -> Self {
        Self { status, outcome: Outcome::Refused, message: message.to_string() }
    }
}

/// A JSON answer.
pub(super) fn json_answer(status: StatusCode, body: Bytes) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::Own(Some(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// Names the exchange, and the time that the relay took of it; a provider's own timings stay before ours.
pub(super) fn stamp(headers: &mut HeaderMap, id: ExchangeId, relay_us: u64) {
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert(ID, id);
    }
    let mut timing = String::with_capacity(32);
    // Writing to a string can't fail.
    let _ = write!(timing, "relay;dur={}.{:03}", relay_us / 1000, relay_us % 1000);
    if let Ok(timing) = HeaderValue::from_str(&timing) {
        headers.append(SERVER_TIMING, timing);
    }
}

impl Relay {
    /// Answers in a provider's place, in the shape the caller understands, and ends the record with it.
    pub(super) async fn refuse(
        &self,
        mut call: Call,
        dialect: ProviderDialect,
        method: &Method,
        version: Version,
        refusal: Refusal,
    ) -> Response<AnswerBody> {
        let Refusal { status, outcome, message } = refusal;
        let body = error_body(dialect, status, &message);
        let mut answer = json_answer(status, body.clone());
        answer.headers_mut().insert(SERVER, HeaderValue::from_static("verbatim"));
        stamp(answer.headers_mut(), call.exchange().id(), call.exchange().now_us());
        call.answer_head(version, status.as_u16(), answer.headers(), &self.redactor);
        if *method == Method::HEAD {
            *answer.body_mut() = AnswerBody::Own(None);
        } else if !call.exchange().try_chunk(Leg::ClientResponse, 0, &body) {
            call.exchange().lose(Leg::ClientResponse, body.len());
        }
        call.end(outcome, Some(message));
        // One that was refused because it can't be recorded has nothing to wait for.
        if call.exchange().is_required() && status != StatusCode::SERVICE_UNAVAILABLE {
            durable(&call, self.durable_within()).await;
        }
        answer
    }

    /// A durable record is waited for no longer.
    pub(super) fn durable_within(&self) -> std::time::Duration {
        self.timeouts.recorded()
    }
}
