//! One exchange: the conversation, the bytes, the heads, the timing.

mod figures;
mod heads;

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use verbatim_core::model::{Exchange, ExchangeId, Leg, Outcome, RecordMode};

use self::figures::figures;
use self::heads::{AttemptView, HeadersView, heads};
use super::{Chrome, asks_for, html, html_with};
use crate::heavy::heavy;
use crate::reading::{self, Loaded};
use crate::state::{App, Shared};
use crate::text::Text;
use crate::view::code::{CallAgain, call_again};
use crate::view::conversation::{Conversation, Shown, Turn};
use crate::view::leg::{LegView, legs};
use crate::view::row::{outcome, said, state_class, tag};
use crate::view::timeline::{TimelineView, draw};
use crate::view::{format, leg};

/// So long after it began an exchange that is not archived is waited for.
const YOUNG: Duration = Duration::from_secs(20);

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    tab: Option<String>,
    /// The state of a running exchange that the page shows: nothing is answered unless there is a newer one.
    seen: Option<String>,
}

/// One way to look at an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tab {
    Conversation,
    Raw,
    Headers,
    Timeline,
}

impl Tab {
    const ALL: [Self; 4] = [Self::Conversation, Self::Raw, Self::Headers, Self::Timeline];

    fn word(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Raw => "raw",
            Self::Headers => "headers",
            Self::Timeline => "timeline",
        }
    }

    fn label(self, t: &Text) -> &'static str {
        match self {
            Self::Conversation => t.conversation,
            Self::Raw => t.raw,
            Self::Headers => t.headers,
            Self::Timeline => t.timeline,
        }
    }

    fn of(word: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|tab| Some(tab.word()) == word).unwrap_or(Self::Conversation)
    }
}

struct TabLink {
    word: &'static str,
    label: &'static str,
    on: bool,
}

/// What a page needs to follow an exchange that is under way.
struct Running {
    began_ms: i64,
    now_ms: i64,
    /// The state that is shown; it changes with every checkpoint and at the end.
    seen: String,
}

/// What stands above the tabs.
struct Head {
    running: Option<Running>,
    id: String,
    model: String,
    app: String,
    state: &'static str,
    state_class: &'static str,
    status: String,
    tag: String,
    time: String,
    began_rfc3339: String,
    session: Option<(String, String)>,
    key: String,
    duration: String,
    first_token: String,
    tokens: String,
    cost: String,
    mark: &'static str,
    error: Option<String>,
}

/// What stands below the tabs.
enum Body {
    Conversation(Box<ConversationView>),
    Raw {
        legs: Vec<LegView>,
        recorded: bool,
    },
    Headers {
        heads: Vec<HeadersView>,
        attempts: Vec<AttemptView>,
        notes: Vec<String>,
        facts: Vec<(String, String)>,
    },
    Timeline(TimelineView),
}

struct ConversationView {
    shown: Shown,
    answer: Vec<Turn>,
    /// Whether an answer came, whether or not there is anything in it to read.
    answered: bool,
    tools: Vec<(String, String)>,
    tools_count: String,
    parameters: String,
    notes: Vec<String>,
    figures: Vec<(&'static str, String)>,
    again: CallAgain,
    recorded: bool,
}

struct Pane {
    head: Head,
    tabs: Vec<TabLink>,
    body: Body,
}

#[derive(Template)]
#[template(path = "exchange.html")]
struct ExchangePage {
    c: Chrome,
    p: Pane,
}

#[derive(Template)]
#[template(path = "pane.html")]
struct PanePart {
    c: Chrome,
    p: Pane,
}

#[derive(Template)]
#[template(path = "tab.html")]
struct TabPart {
    c: Chrome,
    p: Pane,
}

#[derive(Template)]
#[template(path = "absent.html")]
struct AbsentPage {
    c: Chrome,
    title: &'static str,
    hint: &'static str,
    /// The call that is still running.
    running: Option<String>,
}

#[derive(Template)]
#[template(path = "absent_pane.html")]
struct AbsentPane {
    title: &'static str,
    hint: &'static str,
    running: Option<String>,
}

/// The page of an address that leads nowhere.
pub(crate) fn no_page(app: &App, uri: &Uri, headers: &HeaderMap) -> Response {
    let c = Chrome::new(app, headers, uri, "");
    let (title, hint) = (c.t.no_page, c.t.no_page_hint);
    html_with(StatusCode::NOT_FOUND, &AbsentPage { c, title, hint, running: None })
}

/// The page, or the part of it that htmx asks for.
pub(super) async fn page(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let c = Chrome::new(&app, &headers, &uri, "exchanges");
    let in_pane = asks_for(&headers, "detail");
    let absent = |c: Chrome, status, title, hint, running| {
        // htmx shows only what came with a success.
        if in_pane {
            return html_with(StatusCode::OK, &AbsentPane { title, hint, running });
        }
        html_with(status, &AbsentPage { c, title, hint, running })
    };
    let Ok(id) = id.parse::<ExchangeId>() else {
        let (title, hint) = (c.t.no_such, c.t.no_such_hint);
        return absent(c, StatusCode::NOT_FOUND, title, hint, None);
    };
    if let Some(seen) = &wanted.seen
        && let Ok(Some((exchange, _))) = app.ports.archive.get(id).await
        && state_of(&exchange) == *seen
    {
        return StatusCode::NO_CONTENT.into_response();
    }
    let loaded = match reading::load(&app.stores, id).await {
        Ok(Some(loaded)) => loaded,
        Ok(None) => {
            // One that was minted a moment ago may have ended and not be archived yet.
            let young = c.now.since(id.time()) < YOUNG;
            let running = (young || app.hub.is_pending(id)).then(|| id.to_string());
            let (title, hint) = match &running {
                Some(_) => (c.t.streaming, c.t.still_running),
                None => (c.t.no_such, c.t.no_such_hint),
            };
            return absent(c, StatusCode::NOT_FOUND, title, hint, running);
        }
        Err(error) => {
            tracing::warn!(%error, exchange = %id, "an exchange could not be read");
            let title = c.t.unavailable;
            return absent(c, StatusCode::SERVICE_UNAVAILABLE, title, "", None);
        }
    };
    let tab = Tab::of(wanted.tab.as_deref());
    let (asks_for_tab, gateway_url) = (asks_for(&headers, "tab"), app.config.gateway_url.clone());
    let made = heavy(&app.stores, move || {
        let p = pane(&gateway_url, &c, &loaded, tab);
        if in_pane {
            html(&PanePart { c, p })
        } else if asks_for_tab {
            html(&TabPart { c, p })
        } else {
            html(&ExchangePage { c, p })
        }
    });
    made.await.into_response()
}

fn pane(gateway_url: &str, c: &Chrome, loaded: &Loaded, tab: Tab) -> Pane {
    let tabs = Tab::ALL.into_iter().map(|known| TabLink {
        word: known.word(),
        label: known.label(c.t),
        on: known == tab,
    });
    let body = match tab {
        Tab::Conversation => Body::Conversation(Box::new(conversation(gateway_url, c, loaded))),
        Tab::Raw => Body::Raw {
            legs: legs(loaded.exchange.id, &loaded.heads, &loaded.bodies, c.t),
            recorded: loaded.exchange.record == RecordMode::Full,
        },
        Tab::Headers => heads(c.t, loaded),
        Tab::Timeline => Body::Timeline(draw(&loaded.exchange, &loaded.bodies)),
    };
    Pane { head: head(c, &loaded.exchange), tabs: tabs.collect(), body }
}

/// A word that changes whenever what is archived of an exchange does.
fn state_of(exchange: &Exchange) -> String {
    let Exchange { outcome, integrity, request_bytes, response_bytes, .. } = exchange;
    format!("{outcome}.{integrity}.{request_bytes}.{response_bytes}")
}

fn head(c: &Chrome, exchange: &Exchange) -> Head {
    let usage = &exchange.usage;
    let tokens = match (usage.input_tokens, usage.output_tokens) {
        (None, None) => format::UNKNOWN.to_owned(),
        (input, output) => format!("{} → {}", format::count_or(input), format::count_or(output)),
    };
    Head {
        running: (exchange.outcome == Outcome::Running).then(|| Running {
            began_ms: exchange.began_at.as_unix_ms(),
            now_ms: c.now.as_unix_ms(),
            seen: state_of(exchange),
        }),
        id: exchange.id.to_string(),
        model: exchange
            .model()
            .map_or_else(|| format!("{} {}", exchange.method, exchange.path), str::to_owned),
        app: exchange.caller.app.clone().unwrap_or_default(),
        state: outcome(exchange.outcome, c.t),
        state_class: state_class(exchange.outcome),
        status: exchange.status.map(|status| status.to_string()).unwrap_or_default(),
        tag: Some(tag(exchange, c.t))
            .filter(|tag| Some(tag.clone()) != exchange.status.map(|s| s.to_string()))
            .unwrap_or_default(),
        time: c.zone.full(exchange.began_at),
        began_rfc3339: exchange.began_at.to_string(),
        session: exchange.session.as_ref().map(|session| {
            let quoted = session.replace('\\', "\\\\").replace('"', "\\\"");
            let query = format!("session:\"{quoted}\"");
            (session.clone(), utf8_percent_encode(&query, NON_ALPHANUMERIC).to_string())
        }),
        key: exchange.caller.key.clone().unwrap_or_default(),
        duration: format::duration_or(exchange.duration_us),
        first_token: format::duration_or(exchange.first_token_us),
        tokens,
        cost: exchange.cost_micros.map_or_else(|| format::UNKNOWN.to_owned(), format::cost),
        mark: format::mark(usage),
        error: exchange.error.as_deref().filter(|error| !error.is_empty()).map(|error| said(error, c.t)),
    }
}

fn conversation(gateway_url: &str, c: &Chrome, loaded: &Loaded) -> ConversationView {
    let Loaded { exchange, heads, bodies, reading } = loaded;
    let conversation = Conversation::new(reading, exchange.id, c.t);
    let parameters = if reading.parameters.is_empty() {
        String::new()
    } else {
        let text = serde_json::to_string_pretty(&reading.parameters).unwrap_or_default();
        cut(&text, 8 * 1024)
    };
    let request = bodies.leg(Leg::ClientRequest).map(|body| body.bytes.clone()).unwrap_or_default();
    let request = reading::plain(&heads.request.headers, request);
    let mut notes = heads.notes.clone();
    // Those of the reading at the time are among them.
    notes.extend(reading.notes.iter().filter(|note| !heads.notes.contains(note)).cloned());
    let unreadable = bodies.unreadable.iter();
    notes.extend(unreadable.map(|(which, why)| format!("{}: {why}", leg::label(*which, c.t))));
    let mut answer = conversation.answer();
    // An error that stands above the tabs already is not said again.
    if reading.error.as_ref().map(|error| error.line()) == exchange.error {
        answer.retain(|turn| turn.class != "err");
    }
    ConversationView {
        shown: conversation.shown(),
        answer,
        tools_count: format::count(reading.tools.len() as u64),
        tools: reading
            .tools
            .iter()
            .take(100)
            .map(|tool| (cut(&tool.name, 100), cut(tool.description.as_deref().unwrap_or_default(), 240)))
            .collect(),
        parameters,
        notes,
        figures: figures(c.t, loaded),
        again: call_again(gateway_url, exchange, &heads.request.headers, &request),
        recorded: exchange.record == RecordMode::Full,
        answered: exchange.response_bytes > 0,
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{}…", &text[..crate::error::floor(text, most)])
}
