//! The gateway's own few endpoints.

use std::sync::atomic::Ordering::Relaxed;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use super::answer::json_answer;
use super::{AnswerBody, Relay};
use crate::config::CaptureMode;
use crate::health::HealthHandle;
use crate::route::OwnEndpoint;

impl Relay {
    /// Answers a call to the gateway itself; it is not recorded.
    pub(super) fn own(&self, endpoint: OwnEndpoint, method: &Method) -> Response<AnswerBody> {
        let mut answer = match endpoint {
            OwnEndpoint::Root => text(concat!(
                "Verbatim relays calls to LLM providers and records them.\n",
                "Point a client's base URL here: /v1 for OpenAI's, / for Anthropic's and Gemini's, ",
                "/<provider>/v1 for others.\n",
            )),
            OwnEndpoint::Live => json_answer(StatusCode::OK, json!({ "status": "ok" }).to_string().into()),
            OwnEndpoint::Ready => self.ready(),
        };
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if *method == Method::HEAD {
            *answer.body_mut() = AnswerBody::Own(None);
        }
        answer
    }

    /// Ready where calls can be taken. A log or spool that is down degrades a best-effort gateway, and stops one
    /// that has to record.
    fn ready(&self) -> Response<AnswerBody> {
        let health = HealthHandle(std::sync::Arc::clone(&self.gauges)).snapshot();
        let recording = health.log_up || (self.gauges.has_spool.load(Relaxed) && health.spool_up);
        let (status, word) = match (health.log_up, recording, self.capture) {
            (true, _, _) => (StatusCode::OK, "ok"),
            (false, false, CaptureMode::Required) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            (false, _, _) => (StatusCode::OK, "degraded"),
        };
        let body = json!({
            "status": word,
            "capture_log": if health.log_up { "up" } else { "down" },
            "in_flight": health.in_flight,
            "queue_bytes": health.queue_bytes,
            "spool_bytes": health.spool_bytes,
            "lost_bytes": health.lost_bytes,
            "unrecorded": health.unrecorded,
        });
        json_answer(status, body.to_string().into())
    }
}

fn text(body: &'static str) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::Own(Some(body.into())));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
