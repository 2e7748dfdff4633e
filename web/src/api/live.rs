//! Server-sent events of what passes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::Sse;
use axum::response::sse::{Event as SseEvent, KeepAlive};
use futures_util::stream::{self, Stream};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use verbatim_core::model::query::{Query as Asked, parse};
use verbatim_core::model::{Exchange, ExchangeId};
use verbatim_core::ports::SearchRequest;

use super::ExchangeBody;
use crate::error::{ApiError, ErrorBody};
use crate::find::FoundItem;
use crate::live::{Event, Happened};
use crate::pages::RowMaker;
use crate::state::Shared;

/// So often a word search is asked for what was just archived.
const SEARCH_EVERY: Duration = Duration::from_millis(500);
/// So often it is asked for one exchange before that counts as not matching.
const SEARCH_TRIES: u32 = 20;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LiveParams {
    /// Only what matches this query.
    q: Option<String>,
    /// `1` to have each exchange also as a row of the dashboard's list.
    #[param(value_type = Option<u8>)]
    rows: Option<String>,
    /// Go on behind the event with this number; the header `Last-Event-ID` does the same.
    #[param(value_type = Option<u64>)]
    after: Option<String>,
}

/// The data of an event. Its name is one of `started` (a call has been running for a moment), `ended` (that call is
/// over), `archived` (an exchange can be opened now) and `missed` (things happened that can't be told: list again).
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct LiveEvent {
    /// The exchange's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// What is known of it (`started`, `archived`).
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange: Option<ExchangeBody>,
    /// The same as a row of the dashboard's list, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<String>,
    /// How much was missed, 0 where that is not known (`missed`).
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

/// What passes right now, as server-sent events.
///
/// An event's id is its number: a client that reconnects with `Last-Event-ID` gets what it missed, or a `missed`
/// event where that is no longer known. A `ping` comment keeps the connection open.
#[utoipa::path(
    get, path = "/api/v1/live", tag = "live", params(LiveParams),
    responses(
        (status = 200, description = "Events", content_type = "text/event-stream", body = LiveEvent),
        (status = 400, description = "The query can't be read", body = ErrorBody),
        (status = 404, description = "This process sees no live traffic", body = ErrorBody)
    )
)]
pub(super) async fn watch(
    State(app): State<Shared>,
    Query(params): Query<LiveParams>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, ApiError> {
    if app.ports.live.is_none() {
        return Err(ApiError::NotFound("this process sees no live traffic".to_owned()));
    }
    let typed = params.q.unwrap_or_default();
    let query = parse(&typed, app.ports.clock.now())
        .map_err(|error| ApiError::Query { query: typed.clone(), error })?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let after = last.or(params.after).and_then(|number| number.trim().parse::<u64>().ok());
    let rows = params.rows.is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    let joined = app.hub.join(after);
    let watching = Watching {
        rows: rows.then(|| RowMaker::new(&app, &headers)),
        query,
        waiting: VecDeque::new(),
        search_at: Instant::now(),
        ready: VecDeque::new(),
        before: joined.before.into(),
        from_now: joined.from_now,
        app,
    };
    let events =
        stream::unfold(watching, |mut watching| async { Some((Ok(watching.next().await?), watching)) });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)).text("ping")))
}

struct Watching {
    app: Shared,
    query: Asked,
    rows: Option<RowMaker>,
    /// Archived exchanges that a word search has yet to find.
    waiting: VecDeque<(Arc<Event>, u32)>,
    search_at: Instant,
    ready: VecDeque<SseEvent>,
    before: VecDeque<Arc<Event>>,
    from_now: Receiver<Arc<Event>>,
}

impl Watching {
    async fn next(&mut self) -> Option<SseEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if let Some(event) = self.before.pop_front() {
                self.take(event);
                continue;
            }
            let search_due = !self.waiting.is_empty();
            let search_at = self.search_at;
            let stop = self.app.stop.clone();
            tokio::select! {
                () = stop.cancelled() => return None,
                received = self.from_now.recv() => match received {
                    Ok(event) => self.take(event),
                    Err(RecvError::Lagged(count)) => {
                        let data = LiveEvent { count: Some(count), ..LiveEvent::default() };
                        self.ready.push_back(sse("missed", &data));
                    }
                    Err(RecvError::Closed) => return None,
                },
                () = tokio::time::sleep_until(search_at), if search_due => self.search().await,
            }
        }
    }

    fn take(&mut self, event: Arc<Event>) {
        let number = event.number.to_string();
        match &event.happened {
            Happened::Missed(count) => {
                let data = LiveEvent { count: Some(*count), ..LiveEvent::default() };
                self.ready.push_back(sse("missed", &data).id(number));
            }
            Happened::Ended(id) => {
                let data = LiveEvent { id: Some(id.to_string()), ..LiveEvent::default() };
                self.ready.push_back(sse("ended", &data).id(number));
            }
            Happened::Started(exchange) => {
                if self.query.text.is_empty() && self.holds(exchange) {
                    let item = FoundItem { exchange: (**exchange).clone(), snippets: Vec::new() };
                    self.ready.push_back(self.told("started", item).id(number));
                }
            }
            Happened::Archived(exchange) => {
                if !self.holds(exchange) {
                    // It may have been shown while it ran.
                    let data = LiveEvent { id: Some(exchange.id.to_string()), ..LiveEvent::default() };
                    self.ready.push_back(sse("ended", &data).id(number));
                } else if self.query.text.is_empty() {
                    let item = FoundItem { exchange: (**exchange).clone(), snippets: Vec::new() };
                    self.ready.push_back(self.told("archived", item).id(number));
                } else {
                    if self.waiting.len() >= 200 {
                        self.waiting.pop_front();
                    }
                    self.waiting.push_back((event, 0));
                }
            }
        }
    }

    fn holds(&self, exchange: &Exchange) -> bool {
        self.query.filters.iter().all(|filter| filter.holds(exchange))
    }

    fn told(&self, name: &str, item: FoundItem) -> SseEvent {
        let row = self.rows.as_ref().map(|rows| rows.render(&item));
        let data = LiveEvent {
            id: Some(item.exchange.id.to_string()),
            exchange: Some(item.exchange.into()),
            row,
            count: None,
        };
        sse(name, &data)
    }

    /// Asks the index for what was archived; it comes to know of it a moment later.
    async fn search(&mut self) {
        self.search_at = Instant::now() + SEARCH_EVERY;
        let Some(index) = self.app.ports.index.clone() else {
            self.waiting.clear();
            return;
        };
        let request = SearchRequest { query: self.query.clone(), before: None, skip: 0, limit: 100 };
        let hits = index.search(request).await.map(|page| page.hits).unwrap_or_default();
        let mut kept = VecDeque::new();
        for (event, tries) in std::mem::take(&mut self.waiting) {
            let Happened::Archived(exchange) = &event.happened else { continue };
            let id: ExchangeId = exchange.id;
            if let Some(hit) = hits.iter().find(|hit| hit.id == id) {
                let item = FoundItem { exchange: (**exchange).clone(), snippets: hit.snippets.clone() };
                self.ready.push_back(self.told("archived", item).id(event.number.to_string()));
            } else if tries < SEARCH_TRIES {
                kept.push_back((event, tries + 1));
            }
        }
        self.waiting = kept;
    }
}

fn sse(name: &str, data: &LiveEvent) -> SseEvent {
    // Serialising plain fields does not fail; an empty event would only be passed over.
    let data = serde_json::to_string(data).unwrap_or_default();
    SseEvent::default().event(name).data(data)
}
