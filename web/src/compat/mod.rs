//! A second, flat API with numbered pages, for scripts that want no cursors. What is written against its shapes goes on
//! working.

mod metrics;
mod probes;
mod requests;
mod summary;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::Shared;

/// Every such route with its description.
pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(requests::list_requests))
        .routes(routes!(requests::get_request))
        .routes(routes!(requests::get_request_singular))
        .routes(routes!(requests::list_logs))
        .routes(routes!(requests::get_log))
        .routes(routes!(summary::get_stats))
        .routes(routes!(metrics::get_metrics))
        .routes(routes!(metrics::get_models))
        .routes(routes!(metrics::get_trends))
        .routes(routes!(probes::livez))
        .routes(routes!(probes::readyz))
        .routes(routes!(probes::healthz))
        .routes(routes!(probes::health))
}
