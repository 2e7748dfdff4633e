//! REST under `/api/v1`. A handler translates: it reads the request, asks, and shapes the answer.

mod conversation;
mod exchange;
mod exchanges;
mod export;
mod health;
mod legs;
mod live;
mod model;
mod openapi;
mod playback;
mod stats;
mod timeline;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::Shared;

pub(crate) use conversation::ConversationBody;
pub(crate) use health::{PipelineBody, pipeline};
pub(crate) use model::{ExchangeBody, decimal};
pub(crate) use openapi::describe;
pub(crate) use stats::{HoursParams, hours_back, step_for};

/// Every route of the API with its description.
pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(exchanges::list_exchanges))
        .routes(routes!(exchange::get_exchange))
        .routes(routes!(legs::get_leg))
        .routes(routes!(timeline::get_timeline))
        .routes(routes!(playback::get_playback))
        .routes(routes!(conversation::get_conversation))
        .routes(routes!(live::watch))
        .routes(routes!(stats::get_stats))
        .routes(routes!(stats::get_models))
        .routes(routes!(stats::get_trends))
        .routes(routes!(export::export))
        .routes(routes!(health::get_health))
}
