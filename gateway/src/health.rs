//! How the gateway's pipeline is doing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The pipeline at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GatewayHealth {
    /// Calls under way.
    pub in_flight: u64,
    /// Exchanges whose records are not complete in log or spool; calls under way included.
    pub unpublished: u64,
    /// Bytes that wait in memory to be recorded.
    pub queue_bytes: u64,
    /// Bytes that wait on disk for the capture log.
    pub spool_bytes: u64,
    /// Exchanges that wait on disk for the capture log.
    pub spooled: u64,
    /// Bytes of recorded calls that could not be kept, since the process began.
    pub lost_bytes: u64,
    /// Calls that could not be recorded at all, since the process began.
    pub unrecorded: u64,
    /// Whether the capture log took the last message it was given.
    pub log_up: bool,
    /// Whether the spool took the last message it was given; also where there is none.
    pub spool_up: bool,
}

/// The counters behind [`GatewayHealth`]; each has one writer's meaning and many readers.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) in_flight: AtomicUsize,
    pub(crate) unpublished: AtomicUsize,
    pub(crate) queue_bytes: AtomicUsize,
    pub(crate) spool_bytes: AtomicU64,
    pub(crate) spooled: AtomicU64,
    pub(crate) lost_bytes: AtomicU64,
    pub(crate) unrecorded: AtomicU64,
    pub(crate) log_down: AtomicBool,
    pub(crate) has_spool: AtomicBool,
    pub(crate) spool_down: AtomicBool,
    /// The spool's disk has less free space than it must keep.
    pub(crate) disk_low: AtomicBool,
}

impl Gauges {
    /// Counts bytes of recorded calls that are given up.
    pub(crate) fn count_lost(&self, bytes: u64) {
        self.lost_bytes.fetch_add(bytes, Relaxed);
        ::metrics::counter!("verbatim_lost_bytes_total").increment(bytes);
    }

    /// Counts calls that can't be recorded at all.
    pub(crate) fn count_unrecorded(&self, calls: u64) {
        self.unrecorded.fetch_add(calls, Relaxed);
        ::metrics::counter!("verbatim_calls_unrecorded_total").increment(calls);
    }
}

/// A view of a gateway's health that outlives it.
#[derive(Debug, Clone)]
pub struct HealthHandle(pub(crate) Arc<Gauges>);

impl HealthHandle {
    /// The pipeline now.
    pub fn snapshot(&self) -> GatewayHealth {
        let gauges = &self.0;
        GatewayHealth {
            in_flight: gauges.in_flight.load(Relaxed) as u64,
            unpublished: gauges.unpublished.load(Relaxed) as u64,
            queue_bytes: gauges.queue_bytes.load(Relaxed) as u64,
            spool_bytes: gauges.spool_bytes.load(Relaxed),
            spooled: gauges.spooled.load(Relaxed),
            lost_bytes: gauges.lost_bytes.load(Relaxed),
            unrecorded: gauges.unrecorded.load(Relaxed),
            log_up: !gauges.log_down.load(Relaxed),
            spool_up: !gauges.spool_down.load(Relaxed),
        }
    }
}
