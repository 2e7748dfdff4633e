//! Histograms: only the buckets that counted anything.

use verbatim_core::model::DurationHistogram;

use super::Malformed;
use super::wire::{Sink, Source};

/// Pairs of (buckets passed over, count).
pub fn encode_histogram(histogram: &DurationHistogram) -> Vec<u8> {
    let mut sink = Sink::default();
    let mut passed = 0;
    for &count in histogram.counts() {
        if count == 0 {
            passed += 1;
        } else {
            sink.number(passed);
            sink.number(count);
            passed = 0;
        }
    }
    sink.bytes
}

/// What [`encode_histogram`] was given.
///
/// # Errors
/// Where these are other bytes.
pub fn decode_histogram(bytes: &[u8]) -> Result<DurationHistogram, Malformed> {
    let mut source = Source::new(bytes);
    let mut counts = Vec::new();
    while !source.rest().is_empty() {
        let passed = usize::try_from(source.number()?).unwrap_or(usize::MAX);
        if counts.len().saturating_add(passed) >= DurationHistogram::BUCKETS {
            return Err(Malformed("a bucket that a histogram has"));
        }
        counts.resize(counts.len() + passed, 0);
        counts.push(source.number()?);
    }
    Ok(DurationHistogram::from_counts(counts))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_histogram_reads_back(durations: Vec<u64>) {
            let mut histogram = DurationHistogram::default();
            durations.iter().for_each(|&us| histogram.record(us));
            prop_assert_eq!(decode_histogram(&encode_histogram(&histogram)), Ok(histogram));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = decode_histogram(&bytes);
        }
    }
}
