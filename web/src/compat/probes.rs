//! Whether the process lives, and whether it can do its work.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::{App, Shared};

/// How the web role is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProbeBody {
    /// `ok`, `degraded` (it works, but a part is missing) or `unavailable`.
    #[schema(value_type = String)]
    status: &'static str,
    /// Whether the archive can be asked.
    archive: bool,
    /// Whether the search index can be asked; null where there is none.
    search: Option<bool>,
}

async fn probe(app: &App) -> Response {
    let archive = app.ports.archive.health().await.is_ok();
    let search = match &app.ports.index {
        Some(index) => Some(index.health().await.is_ok()),
        None => None,
    };
    let (code, status) = match (archive, search) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (true, Some(false)) => (StatusCode::OK, "degraded"),
        (true, _) => (StatusCode::OK, "ok"),
    };
    (code, Json(ProbeBody { status, archive, search })).into_response()
}

/// The process lives.
#[utoipa::path(get, path = "/livez", tag = "health", security(()),
    responses((status = 200, description = "It lives", body = String, content_type = "text/plain")))]
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Whether it can answer: 503 without the archive, `degraded` without the search index.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses(
        (status = 200, description = "It can answer", body = ProbeBody),
        (status = 503, description = "The archive can't be asked", body = ProbeBody)
    ))]
pub(super) async fn readyz(State(app): State<Shared>) -> Response {
    probe(&app).await
}

/// The same as `/readyz`.
#[utoipa::path(get, path = "/healthz", tag = "compatibility", security(()),
    responses(
        (status = 200, description = "It can answer", body = ProbeBody),
        (status = 503, description = "The archive can't be asked", body = ProbeBody)
    ))]
pub(super) async fn healthz(State(app): State<Shared>) -> Response {
    probe(&app).await
}

/// The same as `/readyz`.
#[utoipa::path(get, path = "/health", tag = "compatibility", security(()),
    responses(
        (status = 200, description = "It can answer", body = ProbeBody),
        (status = 503, description = "The archive can't be asked", body = ProbeBody)
    ))]
pub(super) async fn health(State(app): State<Shared>) -> Response {
    probe(&app).await
}
