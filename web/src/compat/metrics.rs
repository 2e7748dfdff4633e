//! `/metrics`: for Prometheus, or as JSON for those who ask so.

use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use verbatim_core::model::Totals;
use verbatim_core::ports::StatsRequest;

use super::summary::{all_time, rounded};
use crate::api::{HoursParams, PipelineBody, hours_back, pipeline};
use crate::error::{ApiError, ErrorBody};
use crate::state::Shared;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FormatParams {
    /// `json` for JSON; also by `Accept: application/json`.
    format: Option<String>,
}

/// Sums over everything, and the pipeline's health.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MetricsBody {
    /// Requests that ended.
    total_requests: u64,
    /// Of these, completed ones.
    successful_requests: u64,
    /// Of these, the others.
    failed_requests: u64,
    /// Share that completed, in per cent.
    success_rate: f64,
    /// Average duration in milliseconds.
    avg_response_time_ms: f64,
    /// Input tokens.
    input_tokens: u64,
    /// Output tokens.
    output_tokens: u64,
    /// Cost in US dollars.
    total_cost_usd: f64,
    /// How recording is doing.
    pipeline: PipelineBody,
}

/// Figures of one model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelMetrics {
    /// The model.
    model: String,
    /// The provider.
    provider: String,
    /// Requests that ended.
    requests: u64,
    /// Share that completed, in per cent.
    success_rate: f64,
    /// Average duration in milliseconds.
    avg_response_time_ms: f64,
    /// Input tokens.
    input_tokens: u64,
    /// Output tokens.
    output_tokens: u64,
    /// Cost in US dollars.
    cost_usd: f64,
}

/// Figures of each model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelMetricsList {
    /// The models, most requests first.
    models: Vec<ModelMetrics>,
}

/// Figures of one hour.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrendMetrics {
    /// When the hour begins, RFC 3339.
    timestamp: String,
    /// Requests that ended.
    requests: u64,
    /// Of these, those that did not complete.
    errors: u64,
    /// Average duration in milliseconds.
    avg_response_time_ms: f64,
    /// All tokens.
    tokens: u64,
    /// Cost in US dollars.
    cost_usd: f64,
}

/// Figures hour by hour.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrendMetricsList {
    /// How many hours back.
    hours: u64,
    /// The hours, oldest first.
    trends: Vec<TrendMetrics>,
}

fn average_ms(totals: &Totals) -> f64 {
    rounded(totals.average_duration_us().unwrap_or(0) as f64 / 1000.0)
}

fn success(totals: &Totals) -> f64 {
    rounded(totals.success_rate().unwrap_or(0.0) * 100.0)
}

fn dollars(totals: &Totals) -> f64 {
    totals.cost_micros as f64 / 1e6
}

/// Metrics of this process as Prometheus text; as JSON sums over everything and the pipeline's health.
#[utoipa::path(
    get, path = "/metrics", tag = "compatibility", params(FormatParams),
    responses(
        (status = 200, description = "The metrics",
            content((String = "text/plain"), (MetricsBody = "application/json"))),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn get_metrics(
    State(app): State<Shared>,
    Query(params): Query<FormatParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let json = params.format.as_deref() == Some("json")
        || (params.format.is_none()
            && accept.split(',').any(|kind| kind.trim().starts_with("application/json")));
    if !json {
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        return Ok(([(header::CONTENT_TYPE, kind)], (app.ports.render_metrics)()).into_response());
    }
    let all = all_time(&app).await?;
    Ok(Json(MetricsBody {
        total_requests: all.calls,
        successful_requests: all.completed,
        failed_requests: all.calls.saturating_sub(all.completed),
        success_rate: success(&all),
        avg_response_time_ms: average_ms(&all),
        input_tokens: all.input_tokens,
        output_tokens: all.output_tokens,
        total_cost_usd: dollars(&all),
        pipeline: pipeline(&app).await,
    })
    .into_response())
}

/// Figures of each model over the last hours.
#[utoipa::path(
    get, path = "/metrics/models", tag = "compatibility", params(HoursParams),
    responses(
        (status = 200, description = "The models", body = ModelMetricsList),
        (status = 400, description = "`hours` can't be read", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn get_models(
    State(app): State<Shared>,
    Query(params): Query<HoursParams>,
) -> Result<Json<ModelMetricsList>, ApiError> {
    let now = app.ports.clock.now();
    let from = now.minus(hours_back(params.hours.as_deref(), 24)?);
    let models = app.ports.archive.model_stats(from..now).await?;
    let models = models.into_iter().map(|stats| ModelMetrics {
        requests: stats.totals.calls,
        success_rate: success(&stats.totals),
        avg_response_time_ms: average_ms(&stats.totals),
        input_tokens: stats.totals.input_tokens,
        output_tokens: stats.totals.output_tokens,
        cost_usd: dollars(&stats.totals),
        model: stats.model,
        provider: stats.provider,
    });
    Ok(Json(ModelMetricsList { models: models.collect() }))
}

/// Figures hour by hour.
#[utoipa::path(
    get, path = "/metrics/trends", tag = "compatibility", params(HoursParams),
    responses(
        (status = 200, description = "The hours", body = TrendMetricsList),
        (status = 400, description = "`hours` can't be read", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn get_trends(
    State(app): State<Shared>,
    Query(params): Query<HoursParams>,
) -> Result<Json<TrendMetricsList>, ApiError> {
    let span = hours_back(params.hours.as_deref(), 24)?;
    let now = app.ports.clock.now();
    let step = Duration::from_secs(3600);
    let request = StatsRequest { range: now.minus(span)..now, step, model: None, provider: None };
    let stats = app.ports.archive.stats(request).await?;
    let trends = stats.buckets.iter().map(|bucket| TrendMetrics {
        timestamp: bucket.from.to_string(),
        requests: bucket.totals.calls,
        errors: bucket.totals.calls.saturating_sub(bucket.totals.completed),
        avg_response_time_ms: average_ms(&bucket.totals),
        tokens: bucket.totals.input_tokens + bucket.totals.output_tokens,
        cost_usd: dollars(&bucket.totals),
    });
    Ok(Json(TrendMetricsList { hours: span.as_secs() / 3600, trends: trends.collect() }))
}
