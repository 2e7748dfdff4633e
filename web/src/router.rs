//! Which path leads where.

use std::sync::Arc;

use axum::extract::State;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, StatusCode, Uri, header};
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::config::WebConfig;
use crate::error::{ApiError, ErrorBody, ErrorDetail};
use crate::live::Hub;
use crate::ports::Ports;
use crate::state::{App, Shared};
use crate::{api, assets, compat, pages, security};

/// Every route, behind the guard.
pub(crate) fn router(config: WebConfig, ports: Ports, hub: Arc<Hub>, stop: CancellationToken) -> Router {
    let (described, document) = described(&config);
    let openapi = document.to_json().unwrap_or_default();
    let app = App::new(config, ports, hub, openapi, stop);
    described
        .merge(pages::routes())
        .route("/openapi.json", get(openapi_json))
        .route("/assets/{version}/{*name}", get(assets::asset))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(&app), security::guard))
        .layer(from_fn(security::protect))
        .with_state(app)
}

/// The routes that describe themselves, and what they say.
pub(crate) fn described(config: &WebConfig) -> (Router<Shared>, OpenApi) {
    OpenApiRouter::with_openapi(api::describe(config))
        .merge(api::routes())
        .merge(compat::routes())
        .split_for_parts()
}

async fn openapi_json(State(app): State<Shared>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], app.openapi.clone()).into_response()
}

/// A page for browsers, and for programs what the API says.
async fn not_found(State(app): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    if security::is_page(uri.path(), &headers) {
        return pages::no_page(&app, &uri, &headers);
    }
    ApiError::NotFound(format!("nothing is at {}: /docs lists what there is", uri.path())).into_response()
}

async fn method_not_allowed() -> Response {
    let error = ErrorDetail {
        code: "bad_request",
        message: "this method is not known here: /docs lists what there is".to_owned(),
        spot: None,
    };
    (StatusCode::METHOD_NOT_ALLOWED, Json(ErrorBody { error })).into_response()
}
