//! How recording is doing.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use verbatim_core::model::Timestamp;
use verbatim_core::ports::{ListRequest, PortError};

use crate::state::{App, Shared};

/// How each step from relay to search is doing. A step that can't be asked is null, and `problems` says why.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PipelineHealth)]
pub(crate) struct PipelineBody {
    /// `ok`; `degraded` where a step can't be asked or lags; `losing` where bytes or whole calls were lost.
    #[schema(value_type = String)]
    pub(crate) status: &'static str,
    /// Everything that ended before this moment is archived.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) archived_up_to: Option<Timestamp>,
    /// The gateway's side.
    pub(crate) gateway: Option<GatewayBody>,
    /// The capture log.
    pub(crate) log: Option<LogBody>,
    /// The archive.
    pub(crate) archive: Option<ArchiveBody>,
    /// The search index.
    pub(crate) search: Option<SearchBody>,
    /// What is wrong, a line each.
    pub(crate) problems: Vec<String>,
}

/// The gateway's side of the pipeline.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = GatewayHealth)]
pub(crate) struct GatewayBody {
    /// Bytes in the queue between relay and publisher.
    pub(crate) queue_bytes: u64,
    /// What that queue holds at most.
    pub(crate) queue_limit_bytes: u64,
    /// Bytes in the spool.
    pub(crate) spool_bytes: u64,
    /// What the spool holds at most.
    pub(crate) spool_limit_bytes: u64,
    /// Calls being relayed.
    pub(crate) open_exchanges: u64,
    /// Bytes of recorded calls lost since the start: zero, or an alarm.
    pub(crate) lost_bytes: u64,
    /// Calls that could not be recorded at all, since the start: zero, or an alarm.
    pub(crate) unrecorded_exchanges: u64,
}

impl GatewayBody {
    /// Whether anything was not kept since the start.
    fn is_losing(&self) -> bool {
        self.lost_bytes > 0 || self.unrecorded_exchanges > 0
    }
}

/// The capture log.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = LogHealth)]
pub(crate) struct LogBody {
    /// Payload bytes kept, and what the log counts for each message beside its payload.
    pub(crate) bytes: u64,
    /// Such bytes that it takes at most; null where only what surrounds it bounds it, such as a NATS account.
    pub(crate) max_bytes: Option<u64>,
    /// Messages kept.
    pub(crate) messages: u64,
    /// Exchanges that ended and are not archived yet.
    pub(crate) ends_pending: u64,
    /// Messages that could not be processed.
    pub(crate) dead_letters: u64,
}

/// The archive.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = ArchiveHealth)]
pub(crate) struct ArchiveBody {
    /// Records.
    pub(crate) exchanges: u64,
    /// Bytes on disk.
    pub(crate) bytes: u64,
    /// Bytes of bodies as captured.
    pub(crate) captured_bytes: u64,
    /// Exchanges that wait to be indexed.
    pub(crate) outbox: u64,
    /// Exchanges that could not be indexed.
    pub(crate) outbox_failed: u64,
    /// Exchanges that are open.
    pub(crate) open: u64,
}

/// The search index.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = SearchHealth)]
pub(crate) struct SearchBody {
    /// Documents.
    pub(crate) documents: u64,
    /// Bytes on disk.
    pub(crate) bytes: u64,
}

/// Asks every step how it is doing.
pub(crate) async fn pipeline(app: &App) -> PipelineBody {
    let mut problems = Vec::new();
    let mut told = |step: &str, error: PortError| problems.push(format!("{step}: {error}"));
    let log = match &app.ports.log {
        Some(log) => log.health().await.map_err(|error| told("capture log", error)).ok(),
        None => None,
    };
    let archive = app.ports.archive.health().await.map_err(|error| told("archive", error)).ok();
    let search = match &app.ports.index {
        Some(index) => index.health().await.map_err(|error| told("search index", error)).ok(),
        None => None,
    };
    let archived_up_to = match &log {
        Some(log) if log.ends_pending == 0 && archive.is_some() => Some(app.ports.clock.now()),
        None if archive.is_some_and(|archive| archive.exchanges == 0) => Some(app.ports.clock.now()),
        _ => newest_archived(app).await,
    };
    let gateway = app.ports.health.gateway().map(|gateway| GatewayBody {
        queue_bytes: gateway.queue_bytes,
        queue_limit_bytes: gateway.queue_limit_bytes,
        spool_bytes: gateway.spool_bytes,
        spool_limit_bytes: gateway.spool_limit_bytes,
        open_exchanges: gateway.open_exchanges,
        lost_bytes: gateway.lost_bytes,
        unrecorded_exchanges: gateway.unrecorded_exchanges,
    });
    if let Some(lost) = gateway.map(|gateway| gateway.lost_bytes).filter(|lost| *lost > 0) {
        problems.push(format!("{lost} bytes could not be kept since the start"));
    }
    if let Some(calls) = gateway.map(|gateway| gateway.unrecorded_exchanges).filter(|calls| *calls > 0) {
        problems.push(format!("{calls} calls could not be recorded since the start"));
    }
    if let Some(dead) = log.map(|log| log.dead_letters).filter(|dead| *dead > 0) {
        problems.push(format!("{dead} capture messages could not be processed and were set aside"));
    }
    if let Some(failed) = archive.map(|archive| archive.outbox_failed).filter(|failed| *failed > 0) {
        problems.push(format!("{failed} exchanges could not be indexed for word search"));
    }
    PipelineBody {
        status: match (gateway.is_some_and(|gateway| gateway.is_losing()), problems.is_empty()) {
            (true, _) => "losing",
            (false, false) => "degraded",
            (false, true) => "ok",
        },
        archived_up_to,
        gateway,
        log: log.map(|log| LogBody {
            bytes: log.bytes,
            max_bytes: log.max_bytes,
            messages: log.messages,
            ends_pending: log.ends_pending,
            dead_letters: log.dead_letters,
        }),
        archive: archive.map(|archive| ArchiveBody {
            exchanges: archive.exchanges,
            bytes: archive.bytes,
            captured_bytes: archive.captured_bytes,
            outbox: archive.outbox,
            outbox_failed: archive.outbox_failed,
            open: archive.open,
        }),
        search: search.map(|search| SearchBody { documents: search.documents, bytes: search.bytes }),
        problems,
    }
}

/// When the newest record ended.
async fn newest_archived(app: &App) -> Option<Timestamp> {
    let page = app.ports.archive.list(ListRequest { limit: 1, ..ListRequest::default() }).await.ok()?;
    let newest = page.exchanges.first()?;
    Some(newest.began_at.plus(std::time::Duration::from_micros(newest.duration_us.unwrap_or(0))))
}

/// How recording is doing, step by step.
#[utoipa::path(
    get, path = "/api/v1/health/pipeline", tag = "health",
    responses((status = 200, description = "Every step", body = PipelineBody))
)]
pub(super) async fn get_health(State(app): State<Shared>) -> Json<PipelineBody> {
    Json(pipeline(&app).await)
}
