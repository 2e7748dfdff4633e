//! Covering a stretch of time with stored sums.

use std::ops::Range;

use super::{MINUTE, SPANS, floor};

/// A stretch of time that is read as stored sums of one span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The length of each sum, in seconds.
    pub span: i64,
    /// From and to, in seconds since the Unix epoch.
    pub range: Range<i64>,
}

/// Covers the time from `start` by the longest stored spans such that none reaches over one of `ends`, which rise.
pub(super) fn runs(start: i64, ends: impl Iterator<Item = i64>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut at = start;
    for end in ends {
        while at < end {
            let fits = |span: &i64| at.rem_euclid(*span) == 0 && end - at >= *span;
            let span = SPANS.into_iter().find(fits).unwrap_or(MINUTE);
            // As far as this span goes: to the end, or, for a shorter one, to where a longer one begins.
            let longer = SPANS.into_iter().rfind(|longer| *longer > span);
            let whole = floor(end - at, span);
            let next = longer.map(|longer| floor(at, longer) + longer);
            let stop = (at + whole.max(span)).min(next.unwrap_or(i64::MAX));
            match runs.last_mut() {
                Some(last) if last.span == span && last.range.end == at => last.range.end = stop,
                _ => runs.push(Run { span, range: at..stop }),
            }
            at = stop;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sums::{DAY, HOUR};

    #[test]
    fn aligned_days_are_one_run() {
        assert_eq!(runs(0, (1..=30).map(|day| day * DAY)), [Run { span: DAY, range: 0..30 * DAY }]);
        assert_eq!(runs(0, (1..=48).map(|hour| hour * HOUR)), [Run { span: HOUR, range: 0..48 * HOUR }]);
    }

    #[test]
    fn the_edges_of_a_long_range_are_read_in_smaller_spans() {
        let spans: Vec<_> =
            runs(HOUR - MINUTE, std::iter::once(3 * DAY + 2 * MINUTE)).iter().map(|run| run.span).collect();
        assert_eq!(spans, [MINUTE, HOUR, DAY, MINUTE]);
    }

    proptest! {
        #[test]
        fn runs_cover_the_time_once_and_respect_every_end(start in -5000_i64..5000, steps in proptest::collection::vec(1_i64..4000, 1..20)) {
            let start = start * MINUTE;
            let ends: Vec<i64> = steps.iter().scan(start, |at, step| { *at += step * MINUTE; Some(*at) }).collect();
            let runs = runs(start, ends.iter().copied());
            let mut at = start;
            for run in &runs {
                prop_assert_eq!(run.range.start, at);
                prop_assert!(run.range.start.rem_euclid(run.span) == 0 && run.range.end.rem_euclid(run.span) == 0);
                for end in &ends {
                    // An end inside a run lies between two of its stored sums.
                    prop_assert!(!run.range.contains(end) || end.rem_euclid(run.span) == 0);
                }
                at = run.range.end;
            }
            prop_assert_eq!(Some(&at), ends.last());
        }
    }
}
