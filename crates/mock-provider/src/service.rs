//! One request, from its head to a response that is ready to be sent.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header, request,
};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answer::Answer;
use crate::body::{BrokenOff, MockBody, Pacing, Source};
use crate::call::{Call, RequestBody, seed_of};
use crate::config::Config;
use crate::connection::Control;
use crate::directives::{DIRECTIVES_HEADER, Directives, FaultKind, FaultPoint};
use crate::endpoints;
use crate::errors::{self, error};
use crate::ledger::{Digest, Ending, ID_HEADER, Ledger, Record};
use crate::minimal::Minimal;
use crate::replay::{REPLAY_HEADER, Recordings};
use crate::route::Route;
use crate::shape::{Shaped, shape};
use crate::websocket;

/// Answers requests.
pub(crate) struct Service {
    defaults: Directives,
    ledger: Ledger,
    minimal: Option<Minimal>,
    recordings: Arc<Recordings>,
    /// What outlives its request, a WebSocket, runs here.
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Service {
    pub(crate) fn new(
        config: &Config,
        ledger: Ledger,
        recordings: Arc<Recordings>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let minimal = config.minimal.then(Minimal::new);
        Self { defaults: config.defaults.clone(), ledger, minimal, recordings, tasks, stop }
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
        let route = Route::of(&head);
        if let Some(body) = ledger_page(&route, &self.ledger, head.uri.query()) {
            return Ok(Response::new(body));
        }
        let record = self.ledger.begin(&head);
        // The rest is rarely as short as the fast path; boxed, it does not make every connection's future large.
        Box::pin(self.answer_recorded(route, head, incoming, record, control)).await
    }

    async fn answer_recorded(
        &self,
        route: Route,
        mut head: request::Parts,
        incoming: Incoming,
        mut record: Box<Record>,
        control: Arc<Control>,
    ) -> Result<Response<MockBody>, BrokenOff> {
        let control = (head.version != Version::HTTP_2).then_some(control);
        let directed =
            head.headers.get(DIRECTIVES_HEADER).map(|text| String::from_utf8_lossy(text.as_bytes()));
        let directives = directed.map(|text| self.defaults.overridden_by(&text)).transpose();
        let (directives, misdirected) = match directives {
            Ok(Some(directives)) => (directives, None),
            Ok(None) => (self.defaults.clone(), None),
            Err(problem) => (Directives::default(), Some(problem.to_string())),
        };
        let mut unread = Some(incoming);
        let mut body = RequestBody::Whole(bytes::Bytes::new());
        let mut hash = Digest::of(b"");
        let websocket = match route {
            Route::Realtime if misdirected.is_none() && directives.status.is_none() => {
                websocket::handshake(&head)
            }
            _ => None,
        };
        let goes_on = websocket.is_some() || (route == Route::Echo && misdirected.is_none());
        if !directives.early
            && !goes_on
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
        if let Some(headers) = websocket
            && let Some(control) = &control
            && let Some(upgrade) = head.extensions.remove::<OnUpgrade>()
        {
            return Ok(self.upgrade(headers, upgrade, record, directives, control.clone()));
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
            None => match asked_replay(&call) {
                None => answer_of(&route, &call),
                Some(line) => match line.parse().ok().and_then(|line| self.recordings.get(line)) {
                    Some(recording) => recording.answer(),
                    None => {
                        let message = format!("x-mock-replay: there is no recording `{line}` to replay");
                        error(route.dialect(), StatusCode::NOT_FOUND, &message, &call)
                    }
                },
            },
        };
        let seed = call.seed;
        Ok(respond(answer, seed, &directives, head.method == Method::HEAD, unread, record, control))
    }

    /// Switches to WebSocket; the exchange goes on in a task of its own.
    fn upgrade(
        &self,
        mut headers: HeaderMap,
        upgrade: OnUpgrade,
        mut record: Box<Record>,
        directives: Directives,
        control: Arc<Control>,
    ) -> Response<MockBody> {
        name(&mut headers, &record);
        record.head(StatusCode::SWITCHING_PROTOCOLS, &headers);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled_owned(websocket::echo(upgrade, record, directives, control))
                .await
                .is_some()
        });
        let mut response = Response::new(MockBody::unrecorded(Source::Whole(bytes::Bytes::new())));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = headers;
        response
    }
}

/// Puts the exchange's id into its response.
fn name(headers: &mut HeaderMap, record: &Record) {
    if let Ok(id) = HeaderValue::from_str(record.id()) {
        headers.insert(HeaderName::from_static(ID_HEADER), id);
    }
}

/// The recording that a call asks for.
fn asked_replay<'a>(call: &'a Call<'_>) -> Option<&'a str> {
    call.header(REPLAY_HEADER).or_else(|| call.query("mock_replay"))
}

/// The ledger over HTTP, for those who run the mock as a process of its own; these requests are not in it.
fn ledger_page(route: &Route, ledger: &Ledger, query: Option<&str>) -> Option<MockBody> {
    let page = match route {
        Route::Ledger => {
            let from = query.and_then(|query| query.strip_prefix("from=")).and_then(|from| from.parse().ok());
            let mut lines = Vec::new();
            for entry in ledger.entries_from(from.unwrap_or(0)) {
                serde_json::to_writer(&mut lines, &*entry).ok()?;
                lines.push(b'\n');
            }
            lines
        }
        Route::Totals => serde_json::to_vec(&ledger.totals()).ok()?,
        _ => return None,
    };
    Some(MockBody::unrecorded(Source::Whole(page.into())))
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
            error(route.dialect(), status, errors::usual_message(status), call)
        }
        Some(status) => endpoints::answer(route, call).with_status(status),
        None => endpoints::answer(route, call),
    }
}

/// Makes the response, with directives put over the answer.
fn respond(
    answer: Answer,
    seed: u64,
    directives: &Directives,
    head_only: bool,
    unread: Option<Incoming>,
    mut record: Box<Record>,
    control: Option<Arc<Control>>,
) -> Response<MockBody> {
    let Answer { mut status, mut headers, payload } = answer;
    name(&mut headers, &record);
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
    if head_only
        && shaped.sized
        && let Some(length) = shaped.source.left()
    {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
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
