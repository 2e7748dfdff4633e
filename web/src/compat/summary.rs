//! `/api/stats`: four figures over everything.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use verbatim_core::model::Timestamp;
use verbatim_core::ports::{PortResult, StatsRequest};

use crate::error::{ApiError, ErrorBody};
use crate::state::{App, Shared};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Four figures.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Summary {
    /// Requests that ended, ever.
    total_requests: u64,
    /// Share of them that completed, in per cent.
    success_rate: f64,
    /// Average duration in milliseconds.
    avg_response_time: f64,
    /// Requests that ended in the last 24 hours.
    recent_requests_count: u64,
}

/// Sums over everything.
pub(super) async fn all_time(app: &App) -> PortResult<verbatim_core::model::Totals> {
    let now = app.ports.clock.now();
    // Ten years: what the sums are kept by is younger than that.
    let range = Timestamp::from_unix_us(now.as_unix_us().saturating_sub(10 * 366 * 86_400_000_000))..now;
    let request = StatsRequest { range, step: DAY * 366, model: None, provider: None };
    Ok(app.ports.archive.stats(request).await?.totals)
}

/// Rounded to two digits behind the point.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Four figures over everything.
#[utoipa::path(
    get, path = "/api/stats", tag = "compatibility",
    responses(
        (status = 200, description = "The figures", body = Summary),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn get_stats(State(app): State<Shared>) -> Result<Json<Summary>, ApiError> {
    let all = all_time(&app).await?;
    let now = app.ports.clock.now();
    let request = StatsRequest { range: now.minus(DAY)..now, step: DAY, model: None, provider: None };
    let recent = app.ports.archive.stats(request).await?.totals;
    Ok(Json(Summary {
        total_requests: all.calls,
        success_rate: rounded(all.success_rate().unwrap_or(0.0) * 100.0),
        avg_response_time: rounded(all.average_duration_us().unwrap_or(0) as f64 / 1000.0),
        recent_requests_count: recent.calls,
    }))
}
