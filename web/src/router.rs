//! Which path leads where.

use axum::Router;
use axum::routing::get;

use crate::config::WebConfig;
use crate::ports::Ports;

pub(crate) fn router(_config: WebConfig, _ports: Ports) -> Router {
    Router::new().route("/livez", get(async || "ok\n"))
}
