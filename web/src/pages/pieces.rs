//! What a page leaves for later: the rest of a long text, earlier messages, a large picture.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Uri};
use serde::Deserialize;
use verbatim_core::model::{ExchangeId, Leg, UnknownWord};
use verbatim_dialects::Part;

use super::{Chrome, html};
use crate::error::{ApiError, floor};
use crate::heavy::heavy;
use crate::reading::{Loaded, found, headers_of, load_found, plain};
use crate::state::Shared;
use crate::text::Text;
use crate::view::conversation::{Conversation, Place, Rest, Shown, words_at};
use crate::view::leg::{Piece, piece};
use crate::view::{format, markdown};

/// Shown with each step, in bytes.
const STEP: usize = 64 * 1024;

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    at: Option<String>,
    from: Option<usize>,
    to: Option<usize>,
}

#[derive(Template)]
#[template(path = "rest.html")]
struct RestPart {
    t: &'static Text,
    text: String,
    rest: Option<Rest>,
}

#[derive(Template)]
#[template(path = "messages.html")]
struct MessagesPart {
    c: Chrome,
    id: String,
    shown: Shown,
}

#[derive(Template)]
#[template(path = "picture.html")]
struct PicturePart {
    t: &'static Text,
    source: String,
}

async fn load(app: &Shared, id: &str) -> Result<Loaded, ApiError> {
    load_found(&app.stores, id.parse()?).await
}

fn place(wanted: &Wanted) -> Result<Place, ApiError> {
    wanted.at.as_deref().unwrap_or_default().parse().map_err(ApiError::Invalid)
}

/// Earlier messages of a conversation.
pub(super) async fn messages(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let c = Chrome::new(&app, &headers, &uri, "exchanges");
    let loaded = load(&app, &id).await?;
    let made = heavy(&app.stores, move || {
        let conversation = Conversation::new(&loaded.reading, loaded.exchange.id, c.t);
        let shown = conversation.earlier(wanted.from.unwrap_or(0)..wanted.to.unwrap_or(usize::MAX));
        html(&MessagesPart { c, id: loaded.exchange.id.to_string(), shown })
    });
    made.await
}

/// The rest of a text, or a part of it.
pub(super) async fn text(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let c = Chrome::new(&app, &headers, &uri, "exchanges");
    let place = place(&wanted)?;
    let loaded = load(&app, &id).await?;
    let made = heavy(&app.stores, move || {
        let words = words_at(&loaded.reading, &place)
            .ok_or_else(|| ApiError::NotFound(format!("no text stands at {place}")))?;
        let from = floor(&words, wanted.from.unwrap_or(0));
        let to = floor(&words, from.saturating_add(STEP));
        let rest = (to < words.len()).then(|| Rest {
            url: format!("/exchanges/{}/text?at={place}&from={to}", loaded.exchange.id),
            left: format::bytes((words.len() - to) as u64),
        });
        Ok(html(&RestPart { t: c.t, text: words[from..to].to_owned(), rest }))
    });
    made.await?
}

/// A picture that was too large to stand in the page.
pub(super) async fn picture(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let c = Chrome::new(&app, &headers, &uri, "exchanges");
    let place = place(&wanted)?;
    let loaded = load(&app, &id).await?;
    let made = heavy(&app.stores, move || {
        let source = match place.find(&loaded.reading) {
            Some(Part::Image(media) | Part::File(media)) => crate::view::conversation::data_url(media),
            _ => None,
        };
        let source = source
            .filter(|url| markdown::is_inline_image(url))
            .ok_or_else(|| ApiError::NotFound(format!("no picture stands at {place}")))?;
        Ok(html(&PicturePart { t: c.t, source }))
    });
    made.await?
}

/// The rest of a leg, or a part of it.
pub(super) async fn leg(
    State(app): State<Shared>,
    Path((id, leg)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let c = Chrome::new(&app, &headers, &uri, "exchanges");
    let id: ExchangeId = id.parse()?;
    let leg: Leg = leg.parse().map_err(|error: UnknownWord| ApiError::Invalid(error.to_string()))?;
    let (_, heads) = found(&app.stores, id).await?;
    let body = app.ports.archive.body(id, leg).await?;
    let body = body.ok_or_else(|| ApiError::NotFound(format!("{leg} of {id} is not stored")))?;
    let made = heavy(&app.stores, move || {
        let bytes = plain(headers_of(&heads, leg), body.bytes.clone());
        piece(id, &body, &bytes, wanted.from.unwrap_or(0))
    });
    let Piece { text, binary, rest } = made.await?;
    if binary {
        return Ok(http::StatusCode::NO_CONTENT.into_response());
    }
    Ok(html(&RestPart { t: c.t, text, rest }))
}
