//! Metrics, in Prometheus' text form.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

/// Upper bounds for what is measured in seconds: from the relay's own tenths of a millisecond to a long stream.
const SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    30.0, 60.0, 120.0, 300.0, 600.0,
];

/// Upper bounds for what is measured in bytes: 256 bytes to 64 MiB.
const BYTES: &[f64] = &[
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Something else in this process set up metrics before.
    #[error("metrics are set up already")]
    AlreadySetUp,
    /// The recorder could not be built.
    #[error("metrics: {0}")]
    Build(#[from] BuildError),
}

/// The process's metrics: what every role counts, and what the process itself takes.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    process: Collector,
}

impl Metrics {
    /// Starts collecting. From now on the `metrics` macros count.
    pub fn start() -> Result<Self, MetricsError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_bytes".into()), BYTES)?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| MetricsError::AlreadySetUp)?;
        let process = Collector::default();
        process.describe();
        Ok(Self { handle, process })
    }

    /// All metrics in Prometheus' text form; the process's own (CPU seconds, memory, file descriptors) as of now.
    pub fn render(&self) -> String {
        self.process.collect();
        self.handle.render()
    }

    /// Folds what histograms have gathered. To be called every few seconds, or what they gathered between two
    /// renderings stays in memory.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_was_counted_and_what_the_process_takes() {
        let metrics = Metrics::start().unwrap();
        metrics::counter!("verbatim_test_total", "kind" => "one").increment(2);
        metrics::histogram!("verbatim_test_seconds").record(0.002);
        metrics.upkeep();
        let text = metrics.render();
        assert!(text.contains("verbatim_test_total{kind=\"one\"} 2"), "{text}");
        assert!(text.contains("verbatim_test_seconds_bucket{le=\"0.0025\"} 1"), "{text}");
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
        assert!(text.contains("process_open_fds "), "{text}");
        assert!(matches!(Metrics::start(), Err(MetricsError::AlreadySetUp)));
    }
}
