//! When each chunk of an exchange passed.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;
use verbatim_core::model::ExchangeId;

use crate::error::{ApiError, ErrorBody};
use crate::reading;
use crate::state::Shared;

/// The chunks of an exchange.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Timeline {
    /// Microseconds from request head to the first byte of the answer's body.
    first_byte_us: Option<u64>,
    /// Microseconds from request head to the first token.
    first_token_us: Option<u64>,
    /// Microseconds from request head to the end.
    duration_us: Option<u64>,
    /// The stored legs.
    legs: Vec<LegTimeline>,
}

/// The chunks of one leg.
#[derive(Debug, Serialize, ToSchema)]
struct LegTimeline {
    /// Which leg.
    #[schema(value_type = String)]
    leg: &'static str,
    /// Bytes of the body.
    length: u64,
    /// Its chunks in order.
    chunks: Vec<Chunk>,
}

/// A chunk as it passed the gateway.
#[derive(Debug, Serialize, ToSchema)]
struct Chunk {
    /// Where in the body it starts, in bytes.
    offset: u64,
    /// Its size in bytes.
    length: u64,
    /// When it passed, in microseconds since the exchange began.
    at_us: u64,
}

/// When each chunk passed the gateway, by a monotonic clock.
#[utoipa::path(
    get, path = "/api/v1/exchanges/{id}/timeline", tag = "exchanges",
    params(("id" = String, Path, description = "The exchange's id")),
    responses(
        (status = 200, description = "The chunks of each stored leg", body = Timeline),
        (status = 400, description = "That is not an id", body = ErrorBody),
        (status = 404, description = "No such exchange", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn get_timeline(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<Timeline>, ApiError> {
    let id: ExchangeId = id.parse()?;
    let (exchange, _) = reading::found(&app.stores, id).await?;
    let bodies = reading::bodies(&app.stores, id).await?;
    let legs = bodies
        .stored()
        .map(|body| {
            let chunks = &body.timeline.chunks;
            let ends = chunks.iter().skip(1).map(|chunk| chunk.offset).chain([body.info.length]);
            LegTimeline {
                leg: body.info.leg.as_str(),
                length: body.info.length,
                chunks: chunks
                    .iter()
                    .zip(ends)
                    .map(|(chunk, end)| Chunk {
                        offset: chunk.offset,
                        length: end.saturating_sub(chunk.offset),
                        at_us: chunk.at_us,
                    })
                    .collect(),
            }
        })
        .collect();
    Ok(Json(Timeline {
        first_byte_us: exchange.first_byte_us,
        first_token_us: exchange.first_token_us,
        duration_us: exchange.duration_us,
        legs,
    }))
}
