//! What the web role asks of the outside.

use std::sync::Arc;

use verbatim_core::ports::{Archive, CaptureLog, Clock, Control, Live, SearchIndex};

/// What the gateways of this installation say of their side of the pipeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GatewayFigures {
    /// Bytes in the queue between relay and publisher.
    pub queue_bytes: u64,
    /// What that queue holds at most, in bytes.
    pub queue_limit_bytes: u64,
    /// Bytes in the spool, waiting for the capture log.
    pub spool_bytes: u64,
    /// What the spool holds at most, in bytes.
    pub spool_limit_bytes: u64,
    /// Calls that are being relayed.
    pub open_exchanges: u64,
    /// Bytes of recorded calls that could not be kept since the start; anything but zero is an alarm.
    pub lost_bytes: u64,
    /// Calls that could not be recorded at all, since the start; anything but zero is an alarm.
    pub unrecorded_exchanges: u64,
}

/// Tells how the gateway's side of the pipeline is doing.
pub trait PipelineHealth: Send + Sync + 'static {
    /// The figures of now; `None` where no gateway can be asked. Must not block.
    fn gateway(&self) -> Option<GatewayFigures>;
}

/// No gateway to ask: the web role alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoGateway;

impl PipelineHealth for NoGateway {
    fn gateway(&self) -> Option<GatewayFigures> {
        None
    }
}

/// Renders every metric of this process as Prometheus text.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Everything the web role is given.
#[derive(Clone)]
pub struct Ports {
    /// The store of records.
    pub archive: Arc<dyn Archive>,
    /// What every web process has to know at once.
    pub control: Arc<dyn Control>,
    /// Word search; without it there are filters and `in:all`, and pages say so.
    pub index: Option<Arc<dyn SearchIndex>>,
    /// What passes right now; without it lists don't grow by themselves.
    pub live: Option<Arc<dyn Live>>,
    /// The capture log, for its health only.
    pub log: Option<Arc<dyn CaptureLog>>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The gateway's side of the pipeline.
    pub health: Arc<dyn PipelineHealth>,
    /// Prometheus text of this process.
    pub render_metrics: RenderMetrics,
}
