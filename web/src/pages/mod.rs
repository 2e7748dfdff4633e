//! The dashboard. A handler asks, and hands what it learned to a template.

mod chrome;
mod docs;
mod exchange;
mod exchanges;
mod login;
mod overview;
mod pieces;
mod preferences;
mod rows;

use askama::Template;
use axum::Router;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};

use crate::error::ApiError;
use crate::state::Shared;

pub(crate) use chrome::Chrome;
pub(crate) use exchange::no_page;
pub(crate) use rows::RowMaker;

/// Every page.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(overview::page))
        .route("/overview/figures", get(overview::figures))
        .route("/pulse", get(chrome::pulse))
        .route("/exchanges", get(exchanges::page))
        .route("/exchanges/sum", get(exchanges::sum))
        .route("/exchanges/{id}", get(exchange::page))
        .route("/exchanges/{id}/messages", get(pieces::messages))
        .route("/exchanges/{id}/text", get(pieces::text))
        .route("/exchanges/{id}/picture", get(pieces::picture))
        .route("/exchanges/{id}/legs/{leg}/text", get(pieces::leg))
        .route("/login", get(login::form).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/preferences", post(preferences::set))
        .route("/docs", get(docs::interactive))
        .route("/redoc", get(docs::reference))
}

/// Renders a template. One that fails is a fault of ours: the reader is told so.
fn html(template: &impl Template) -> Response {
    match template.render() {
        Ok(body) => Html(body).into_response(),
        Err(error) => ApiError::Internal(format!("a page could not be written: {error}")).into_response(),
    }
}

/// The same with a status.
fn html_with(status: StatusCode, template: &impl Template) -> Response {
    let mut response = html(template);
    if response.status() == StatusCode::OK {
        *response.status_mut() = status;
    }
    response
}

/// Whether htmx asks for a fragment to put into the element with this id.
fn asks_for(headers: &HeaderMap, target: &str) -> bool {
    let is = |name: &str, value: &str| headers.get(name).and_then(|have| have.to_str().ok()) == Some(value);
    is("hx-request", "true") && is("hx-target", target) && !is("hx-history-restore-request", "true")
}
