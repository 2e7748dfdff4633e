//! Sums over time, from the sums over minutes, hours and days.

use std::collections::BTreeMap;
use std::ops::Range;

use rusqlite::{Connection, Row, params};
use verbatim_core::model::{Bucket, ModelStats, Outcome, Stats, Timestamp, Totals};
use verbatim_core::ports::{PortError, PortResult, StatsRequest};
use verbatim_sqlite::Doing;

use crate::records::rollup::{self, MINUTE, SPANS, floor};

/// Nobody looks at more stretches at once; each takes memory.
const STRETCHES: i64 = 50_000;

/// Sums over a range and its stretches. Minutes count whole: the range is widened to them.
pub(crate) fn stats(connection: &Connection, request: &StatsRequest) -> PortResult<Stats> {
    let range = minutes(&request.range);
    let step = i64::try_from(request.step.as_secs()).unwrap_or(i64::MAX);
    if step < MINUTE || step % MINUTE != 0 || request.step.subsec_nanos() > 0 {
        return Err(PortError::Permanent(format!(
            "a stretch of sums must be a whole number of minutes, at least one; got {:?}",
            request.step
        )));
    }
    let length = range.end - range.start;
    let stretches = length / step + i64::from(length % step != 0);
    if stretches > STRETCHES {
        return Err(PortError::Permanent(format!(
            "{stretches} stretches are too many: at most {STRETCHES}, so ask for longer ones or a shorter range"
        )));
    }
    let start_of = |stretch: i64| range.start + stretch * step;
    let mut buckets: Vec<Bucket> = (0..stretches)
        .map(|stretch| Bucket {
            from: Timestamp::from_unix_ms(start_of(stretch) * 1000),
            totals: Totals::default(),
        })
        .collect();
    let stretch_ends = (0..stretches).map(|stretch| start_of(stretch).saturating_add(step).min(range.end));
    let mut all = Totals::default();
    for run in runs(range.start, stretch_ends) {
        for_each(connection, &run, request, |start, _, totals| {
            let stretch = usize::try_from((start - range.start) / step).unwrap_or(usize::MAX);
            if let Some(bucket) = buckets.get_mut(stretch) {
                bucket.totals.merge(&totals);
            }
            all.merge(&totals);
        })?;
    }
    Ok(Stats { totals: all, buckets })
}

/// Sums for each model, most calls first.
pub(crate) fn model_stats(connection: &Connection, range: &Range<Timestamp>) -> PortResult<Vec<ModelStats>> {
    let minutes = minutes(range);
    let request =
        StatsRequest { range: range.clone(), step: std::time::Duration::ZERO, model: None, provider: None };
    let mut models: BTreeMap<(String, String), Totals> = BTreeMap::new();
    for run in runs(minutes.start, std::iter::once(minutes.end)) {
        for_each(connection, &run, &request, |_, name, totals| {
            models.entry(name).or_default().merge(&totals);
        })?;
    }
    let mut models: Vec<ModelStats> = models
        .into_iter()
        .filter(|(_, totals)| totals.calls > 0)
        .map(|((model, provider), totals)| ModelStats { model, provider, totals })
        .collect();
    models.sort_by_key(|model| std::cmp::Reverse(model.totals.calls));
    Ok(models)
}

/// The range in seconds, widened to whole minutes; empty where it ends before it begins.
fn minutes(range: &Range<Timestamp>) -> Range<i64> {
    let second = |time: Timestamp| time.as_unix_us().div_euclid(1_000_000);
    let start = floor(second(range.start), MINUTE);
    let last = floor(range.end.as_unix_us().saturating_sub(1).div_euclid(1_000_000), MINUTE);
    start..(last + MINUTE).max(start)
}

/// A stretch of time that is read as stored sums of one span.
#[derive(Debug, PartialEq)]
struct Run {
    span: i64,
    range: Range<i64>,
}

/// Covers the time from `start` by the longest stored spans such that none reaches over one of `ends`, which rise.
fn runs(start: i64, ends: impl Iterator<Item = i64>) -> Vec<Run> {
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

fn for_each(
    connection: &Connection,
    run: &Run,
    request: &StatsRequest,
    mut each: impl FnMut(i64, (String, String), Totals),
) -> PortResult<()> {
    const DOING: &str = "read sums";
    let mut select = connection.prepare_cached(include_str!("../queries/select_rollups.sql")).doing(DOING)?;
    let read = |row: &Row<'_>| {
        let outcome: u8 = row.get(11)?;
        let outcome = Outcome::from_number(outcome).unwrap_or(Outcome::Incomplete);
        Ok((row.get(10)?, (row.get(13)?, row.get(12)?), rollup::read(row, outcome)?))
    };
    let rows = select
        .query_map(params![run.span, run.range.start, run.range.end, request.provider, request.model], read)
        .doing(DOING)?;
    for row in rows {
        let (start, name, totals) = row.doing(DOING)?;
        each(start, name, totals?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::records::rollup::{DAY, HOUR};

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
