//! The API's pages: one to try it, one to read about it. Both draw what `/openapi.json` says.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Uri};

use super::{Chrome, html};
use crate::state::Shared;

#[derive(Template)]
#[template(path = "docs.html")]
struct DocsPage {
    c: Chrome,
    /// Whether requests can be sent from it.
    interactive: bool,
}

/// The page to try the API.
pub(super) async fn interactive(State(app): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    html(&DocsPage { c: Chrome::new(&app, &headers, &uri, "api"), interactive: true })
}

/// The page to read about it.
pub(super) async fn reference(State(app): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    html(&DocsPage { c: Chrome::new(&app, &headers, &uri, "api"), interactive: false })
}
