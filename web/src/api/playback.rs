//! An answer as it came, for the dashboard's player and whoever wants to see a stream again.

use axum::Json;
use axum::extract::{Path, State};
use verbatim_core::model::{ExchangeId, RecordMode};

use crate::error::{ApiError, ErrorBody};
use crate::heavy::heavy;
use crate::reading;
use crate::state::Shared;
use crate::view::playback::{Playback, play};

/// What could be read of the answer after each chunk of it, with the chunk's time.
#[utoipa::path(
    get, path = "/api/v1/exchanges/{id}/playback", tag = "exchanges",
    params(("id" = String, Path, description = "The exchange's id")),
    responses(
        (status = 200, description = "The answer in steps", body = Playback),
        (status = 400, description = "That is not an id", body = ErrorBody),
        (status = 404, description = "No such exchange", body = ErrorBody),
        (status = 503, description = "The archive can't be asked right now", body = ErrorBody)
    )
)]
pub(super) async fn get_playback(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<Playback>, ApiError> {
    let id: ExchangeId = id.parse()?;
    let (exchange, heads) = reading::found(&app.stores, id).await?;
    if exchange.record != RecordMode::Full {
        return Ok(Json(Playback::default()));
    }
    let bodies = reading::bodies(&app.stores, id).await?;
    heavy(&app.stores, move || play(&exchange, &heads, &bodies)).await.map(Json)
}
