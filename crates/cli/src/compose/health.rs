//! Tells the dashboard how the relay's side of the pipeline is doing.

use verbatim_gateway::{GatewayConfig, HealthHandle};
use verbatim_web::{GatewayFigures, PipelineHealth};

/// The relay of this very process.
pub(super) struct OwnGateway {
    health: HealthHandle,
    queue_limit: u64,
    spool_limit: u64,
}

impl OwnGateway {
    pub(super) fn new(health: HealthHandle, config: &GatewayConfig) -> Self {
        Self { health, queue_limit: config.queue.total as u64, spool_limit: config.spool.max_bytes }
    }
}

impl PipelineHealth for OwnGateway {
    fn gateway(&self) -> Option<GatewayFigures> {
        let now = self.health.snapshot();
        Some(GatewayFigures {
            queue_bytes: now.queue_bytes,
            queue_limit_bytes: self.queue_limit,
            spool_bytes: now.spool_bytes,
            spool_limit_bytes: self.spool_limit,
            open_exchanges: now.in_flight,
            lost_bytes: now.lost_bytes,
            unrecorded_exchanges: now.unrecorded,
        })
    }
}
