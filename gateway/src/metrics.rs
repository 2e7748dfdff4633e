//! What the gateway tells its operator in numbers. Labels come from closed sets.

use std::sync::Arc;

use ::metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use verbatim_core::model::Outcome;

use crate::capture::EndFacts;
use crate::health::{Gauges, HealthHandle};

/// Counters of ended calls.
pub(crate) struct CallMetrics {
    outcomes: Vec<Counter>,
    relay_seconds: Histogram,
    duration_seconds: Histogram,
}

impl CallMetrics {
    pub(crate) fn new() -> Self {
        Self {
            outcomes: Outcome::ALL
                .iter()
                .map(|outcome| counter!("verbatim_calls_total", "outcome" => outcome.as_str()))
                .collect(),
            relay_seconds: histogram!("verbatim_relay_seconds"),
            duration_seconds: histogram!("verbatim_call_seconds"),
        }
    }

    /// Counts a call that ended.
    pub(crate) fn ended(&self, end: &EndFacts) {
        if let Some(counter) = self.outcomes.get(usize::from(end.outcome.number())) {
            counter.increment(1);
        }
        if let Some(relay) = end.relay_us {
            self.relay_seconds.record(relay as f64 / 1e6);
        }
        self.duration_seconds.record(end.duration_us as f64 / 1e6);
    }
}

/// The pipeline's state.
pub(crate) struct PipelineMetrics {
    health: HealthHandle,
    in_flight: Gauge,
    queue_bytes: Gauge,
    spool_bytes: Gauge,
    spooled: Gauge,
    unpublished: Gauge,
    log_up: Gauge,
}

impl PipelineMetrics {
    pub(crate) fn new(gauges: Arc<Gauges>) -> Self {
        Self {
            health: HealthHandle(gauges),
            in_flight: gauge!("verbatim_calls_in_flight"),
            queue_bytes: gauge!("verbatim_queue_bytes"),
            spool_bytes: gauge!("verbatim_spool_bytes"),
            spooled: gauge!("verbatim_spooled_exchanges"),
            unpublished: gauge!("verbatim_unpublished_exchanges"),
            log_up: gauge!("verbatim_capture_log_up"),
        }
    }

    /// Shows the state of now.
    pub(crate) fn show(&self) {
        let health = self.health.snapshot();
        self.in_flight.set(health.in_flight as f64);
        self.queue_bytes.set(health.queue_bytes as f64);
        self.spool_bytes.set(health.spool_bytes as f64);
        self.spooled.set(health.spooled as f64);
        self.unpublished.set(health.unpublished as f64);
        self.log_up.set(if health.log_up { 1.0 } else { 0.0 });
    }
}
