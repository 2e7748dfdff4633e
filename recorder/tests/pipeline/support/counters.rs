//! Counters and gauges to be read by the test that set them up, on whose thread the recorder runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

#[derive(Default)]
pub(crate) struct Counters(Mutex<HashMap<String, Arc<AtomicU64>>>);

impl Counters {
    /// The sum over all labels.
    pub(crate) fn sum(&self, name: &str) -> u64 {
        let counters = self.0.lock().unwrap();
        let counter = counters.get(name);
        counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// What a gauge shows; `None` where it was never set.
    pub(crate) fn gauge(&self, name: &str) -> Option<f64> {
        let gauges = self.0.lock().unwrap();
        gauges.get(name).map(|bits| f64::from_bits(bits.load(Ordering::Relaxed)))
    }
}

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::clone(self.0.lock().unwrap().entry(key.name().to_owned()).or_default()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::clone(self.0.lock().unwrap().entry(key.name().to_owned()).or_default()))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
