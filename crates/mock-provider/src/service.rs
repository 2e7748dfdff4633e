//! One request, from its head to a response that is ready to be sent.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header, request,
};
use hyper::body::Incoming;

use crate::answer::{Answer, Payload};
use crate::body::{BrokenOff, MockBody, Pacing, Source};
use crate::call::{Call, RequestBody, seed_of};
use crate::config::Config;
use crate::connection::Control;
use crate::directives::{DIRECTIVES_HEADER, Directives, FaultKind, FaultPoint};
use crate::errors::{self, error};
use crate::ledger::{Digest, Ending, ID_HEADER, Ledger, Record};
use crate::minimal::Minimal;
use crate::openai;
use crate::route::Route;
use crate::shape::{Shaped, shape};

/// Answers requests.
pub(crate) struct Service {
    config: Config,
    ledger: Ledger,
    minimal: Option<Minimal>,
}

impl Service {
    pub(crate) fn new(config: Config, ledger: Ledger) -> Self {
        let minimal = config.minimal.then(Minimal::new);
        Self { config, ledger, minimal }
    }

    /// Answers one request. An error breaks the connection off before the response's head.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        control: Arc<Control>,
    ) -> Result<Response<MockBody>, BrokenOff> {
        let (head, incoming) = request.into_parts();
        if let Some(minimal) = &self.minimal
            && minimal.takes(&head)
        {
            return minimal.answer(incoming, self.ledger.begin_counted()).await;
        }
        let record = self.ledger.begin(&head);
        // The rest is rarely as short as the fast path; boxed, it does not make every connection's future large.
        Box::pin(self.answer_recorded(head, incoming, record, control)).await
    }

    async fn answer_recorded(
        &self,
        head: request::Parts,
        incoming: Incoming,
        mut record: Record,
        control: Arc<Control>,
    ) -> Result<Response<MockBody>, BrokenOff> {
        let control = (head.version != Version::HTTP_2).then_some(control);
        let directed =
            head.headers.get(DIRECTIVES_HEADER).map(|text| String::from_utf8_lossy(text.as_bytes()));
        let directives = directed.map(|text| self.config.defaults.overridden_by(&text)).transpose();
        let (directives, misdirected) = match directives {
            Ok(Some(directives)) => (directives, None),
            Ok(None) => (self.config.defaults.clone(), None),
            Err(problem) => (Directives::default(), Some(problem.to_string())),
        };
        let route = Route::of(&head);
        let mut unread = Some(incoming);
        let mut body = RequestBody::Whole(bytes::Bytes::new());
        let mut hash = Digest::of(b"");
        if !directives.early
            && (route != Route::Echo || misdirected.is_some())
            && let Some(incoming) = unread.take()
        {
            (body, hash) = RequestBody::read(incoming, &mut record).await.map_err(|_| BrokenOff)?;
        }
        if !directives.delay_head.is_zero() {
            tokio::time::sleep(directives.delay_head).await;
        }
        if let Some(fault) = directives.fault.filter(|fault| fault.point == FaultPoint::Head) {
            return Err(break_off(fault.kind, &mut record, control.as_deref()).await);
        }
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        let call = Call {
            head: &head,
            body: &body,
            directives: &directives,
            seed: seed_of(&hash, target),
            id: record.id(),
        };
        let answer = match misdirected {
            Some(problem) => error(route.dialect(), StatusCode::BAD_REQUEST, &problem, &call),
            None => answer_of(&route, &call),
        };
        let seed = call.seed;
        Ok(respond(answer, seed, &directives, head.method == Method::HEAD, unread, record, control))
    }
}

/// Breaks off before the response's head.
async fn break_off(kind: FaultKind, record: &mut Record, control: Option<&Control>) -> BrokenOff {
    match kind {
        FaultKind::Hang => std::future::pending().await,
        FaultKind::Reset => {
            if let Some(control) = control {
                control.reset_on_close();
            }
            record.end(Ending::Reset);
        }
        FaultKind::Close => record.end(Ending::Closed),
    }
    BrokenOff
}

fn answer_of(route: &Route, call: &Call<'_>) -> Answer {
    match call.directives.status {
        Some(status) if status.as_u16() >= 400 => {
            return error(route.dialect(), status, errors::usual_message(status), call);
        }
        _ => {}
    }
    let answer = match route {
        Route::ChatCompletions => openai::chat(call),
        Route::Echo => Answer::new("application/octet-stream", Payload::Echo),
        Route::Unknown(dialect) => {
            let message = format!("Unknown request URL: {} {}.", call.head.method, call.head.uri.path());
            error(*dialect, StatusCode::NOT_FOUND, &message, call)
        }
    };
    match call.directives.status {
        Some(status) => answer.with_status(status),
        None => answer,
    }
}

/// Makes the response, with directives put over the answer.
fn respond(
    answer: Answer,
    seed: u64,
    directives: &Directives,
    head_only: bool,
    unread: Option<Incoming>,
    mut record: Record,
    control: Option<Arc<Control>>,
) -> Response<MockBody> {
    let Answer { mut status, mut headers, payload } = answer;
    if let Ok(id) = HeaderValue::from_str(record.id()) {
        headers.insert(HeaderName::from_static(ID_HEADER), id);
    }
    if let Some(seconds) = directives.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    let shaped = match (shape(payload, seed, directives), unread) {
        (Ok(Some(shaped)), _) => shaped,
        (Ok(None), Some(incoming)) => Shaped { source: Source::Echo(incoming), sized: false, encoded: false },
        (Ok(None), None) => {
            Shaped { source: Source::Whole(bytes::Bytes::new()), sized: true, encoded: false }
        }
        (Err(problem), _) => {
            status = StatusCode::INTERNAL_SERVER_ERROR;
            Shaped { source: Source::Whole(problem.to_string().into()), sized: true, encoded: false }
        }
    };
    if let Some(encoding) = directives.encoding.filter(|_| shaped.encoded) {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.as_str()));
    }
    let trailers = directives.trailers.then(|| {
        let name = HeaderName::from_static("x-mock-trailer");
        headers.insert(header::TRAILER, HeaderValue::from_static("x-mock-trailer"));
        HeaderMap::from_iter([(name, HeaderValue::from_static("after the body"))])
    });
    let bodiless = head_only || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    record.head(status, &headers);
    let body = if bodiless {
        MockBody::new(Source::Whole(bytes::Bytes::new()), true, record, control)
    } else {
        let body = MockBody::new(shaped.source, shaped.sized, record, control).paced(Pacing {
            delay: directives.chunk_delay,
            flush: directives.flush,
            fault: directives.fault,
        });
        match trailers {
            Some(trailers) => body.with_trailers(trailers),
            None => body,
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
