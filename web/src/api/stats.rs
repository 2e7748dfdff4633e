//! Sums over time and models.

use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use verbatim_core::model::{ModelStats, Timestamp, Totals};
use verbatim_core::ports::StatsRequest;

use super::decimal;
use crate::error::{ApiError, ErrorBody};
use crate::state::Shared;

/// The longest time that is summed up, in hours: ten years.
const MOST_HOURS: u64 = 24 * 366 * 10;
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StatsParams {
    /// So many hours back from now; 24 by default.
    #[param(value_type = Option<u32>)]
    hours: Option<String>,
    /// Only this model.
    model: Option<String>,
    /// Only this provider.
    provider: Option<String>,
}

/// Sums over exchanges that ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Totals)]
pub(crate) struct TotalsBody {
    /// Exchanges.
    pub(crate) calls: u64,
    /// Of these, completed ones.
    pub(crate) completed: u64,
    /// Share of calls that completed, 0 to 1; null without calls.
    pub(crate) success_rate: Option<f64>,
    /// Average duration in milliseconds.
    pub(crate) average_duration_ms: Option<f64>,
    /// The duration that half of the calls stay below, in milliseconds, within a fifth.
    pub(crate) p50_duration_ms: Option<f64>,
    /// The duration that 95 of 100 calls stay below, in milliseconds, within a fifth.
    pub(crate) p95_duration_ms: Option<f64>,
    /// The time to the first token that half of the calls stay below, in milliseconds, within a fifth.
    pub(crate) p50_first_token_ms: Option<f64>,
    /// Input tokens, cached ones included.
    pub(crate) input_tokens: u64,
    /// Output tokens.
    pub(crate) output_tokens: u64,
    /// Of the input, read from a provider's cache.
    pub(crate) cache_read_tokens: u64,
    /// Cost in millionths of a US dollar.
    pub(crate) cost_micros: u64,
    /// Exchanges whose tokens are estimated.
    pub(crate) estimated: u64,
    /// Bytes lost.
    pub(crate) lost_bytes: u64,
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

impl From<&Totals> for TotalsBody {
    fn from(totals: &Totals) -> Self {
        Self {
            calls: totals.calls,
            completed: totals.completed,
            success_rate: totals.success_rate(),
            average_duration_ms: totals.average_duration_us().map(ms),
            p50_duration_ms: totals.durations.quantile_us(0.5).map(ms),
            p95_duration_ms: totals.durations.quantile_us(0.95).map(ms),
            p50_first_token_ms: totals.first_tokens.quantile_us(0.5).map(ms),
            input_tokens: totals.input_tokens,
            output_tokens: totals.output_tokens,
            cache_read_tokens: totals.cache_read_tokens,
            cost_micros: totals.cost_micros,
            estimated: totals.estimated,
            lost_bytes: totals.lost_bytes,
        }
    }
}

/// Sums over a time range.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stats)]
pub(super) struct StatsBody {
    /// Where the range begins.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// Where it ends.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// The sums.
    totals: TotalsBody,
}

/// Sums for one model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelStats)]
pub(super) struct ModelBody {
    /// The model; empty where none is known.
    model: String,
    /// The provider that served it.
    provider: String,
    /// Its sums.
    totals: TotalsBody,
}

impl From<ModelStats> for ModelBody {
    fn from(stats: ModelStats) -> Self {
        Self { totals: (&stats.totals).into(), model: stats.model, provider: stats.provider }
    }
}

/// Sums for each model, most calls first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelList {
    /// The models.
    models: Vec<ModelBody>,
}

/// Sums over one stretch of time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrendPoint {
    /// When the stretch begins.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) from: Timestamp,
    /// Its sums.
    pub(crate) totals: TotalsBody,
}

/// Sums over equal stretches of time, oldest first, empty ones included.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Trends {
    /// The length of a stretch in seconds.
    step_seconds: u64,
    /// The stretches.
    points: Vec<TrendPoint>,
}

/// So many hours as asked for.
pub(crate) fn hours_back(hours: Option<&str>, default: u64) -> Result<Duration, ApiError> {
    let hours = decimal("hours", hours, default, MOST_HOURS).map_err(ApiError::Invalid)?;
    Ok(HOUR * u32::try_from(hours).unwrap_or(u32::MAX))
}

/// The stretch that gives some 60 to 200 points over a span, in whole minutes that people count in.
pub(crate) fn step_for(span: Duration) -> Duration {
    let minutes = [1, 5, 15, 30, 60, 180, 360, 720, 1440, 7 * 1440, 30 * 1440];
    let wanted = span.as_secs() / 60 / 150;
    let step = minutes.into_iter().find(|&step| step >= wanted).unwrap_or(30 * 1440);
    Duration::from_secs(step * 60)
}

fn request(app: &Shared, params: &StatsParams) -> Result<StatsRequest, ApiError> {
    let span = hours_back(params.hours.as_deref(), 24)?;
    let now = app.ports.clock.now();
    Ok(StatsRequest {
        range: now.minus(span)..now,
        step: step_for(span),
        model: params.model.clone().filter(|model| !model.is_empty()),
        provider: params.provider.clone().filter(|provider| !provider.is_empty()),
    })
}

/// Sums over the last hours.
#[utoipa::path(
    get, path = "/api/v1/stats", tag = "statistics", params(StatsParams),
    responses(
        (status = 200, description = "The sums", body = StatsBody),
        (status = 400, description = "`hours` can't be read", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn get_stats(
    State(app): State<Shared>,
    Query(params): Query<StatsParams>,
) -> Result<Json<StatsBody>, ApiError> {
    let request = request(&app, &params)?;
    let (from, to) = (request.range.start, request.range.end);
    let stats = app.ports.archive.stats(request).await?;
    Ok(Json(StatsBody { from, to, totals: (&stats.totals).into() }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HoursParams {
    /// So many hours back from now; 24 by default.
    #[param(value_type = Option<u32>)]
    pub(crate) hours: Option<String>,
}

/// Sums for each model over the last hours.
#[utoipa::path(
    get, path = "/api/v1/stats/models", tag = "statistics", params(HoursParams),
    responses(
        (status = 200, description = "The models, most calls first", body = ModelList),
        (status = 400, description = "`hours` can't be read", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn get_models(
    State(app): State<Shared>,
    Query(params): Query<HoursParams>,
) -> Result<Json<ModelList>, ApiError> {
    let now = app.ports.clock.now();
    let from = now.minus(hours_back(params.hours.as_deref(), 24)?);
    let models = app.ports.archive.model_stats(from..now).await?;
    Ok(Json(ModelList { models: models.into_iter().map(ModelBody::from).collect() }))
}

/// Sums over equal stretches of the last hours.
#[utoipa::path(
    get, path = "/api/v1/stats/trends", tag = "statistics", params(StatsParams),
    responses(
        (status = 200, description = "The stretches, oldest first", body = Trends),
        (status = 400, description = "`hours` can't be read", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn get_trends(
    State(app): State<Shared>,
    Query(params): Query<StatsParams>,
) -> Result<Json<Trends>, ApiError> {
    let request = request(&app, &params)?;
    let step_seconds = request.step.as_secs();
    let stats = app.ports.archive.stats(request).await?;
    let points = stats
        .buckets
        .iter()
        .map(|bucket| TrendPoint { from: bucket.from, totals: (&bucket.totals).into() })
        .collect();
    Ok(Json(Trends { step_seconds, points }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_some_hundred_stretches() {
        for hours in [1, 6, 24, 24 * 7, 24 * 30, 24 * 365] {
            let span = HOUR * hours;
            let points = span.as_secs() / step_for(span).as_secs();
            assert!((50..=150).contains(&points), "{hours} h: {points}");
        }
    }

    #[test]
    fn hours_out_of_range_are_told() {
        assert!(hours_back(Some("0"), 24).is_err());
        assert!(hours_back(Some("-3"), 24).is_err());
        assert!(hours_back(Some("999999999999"), 24).is_err());
        assert_eq!(hours_back(None, 24).unwrap(), HOUR * 24);
        assert_eq!(hours_back(Some(""), 24).unwrap(), HOUR * 24);
    }
}
