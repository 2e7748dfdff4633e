//! Sums over time, from the sums over minutes, hours and days.

use std::ops::Range;

use rusqlite::{Connection, Row, params};
use verbatim_archive_format::sums::{Run, SumsOfModels, SumsOverTime};
use verbatim_core::model::{ModelStats, Outcome, Stats, Timestamp, Totals};
use verbatim_core::ports::{PortResult, StatsRequest};
use verbatim_sqlite::Doing;

use crate::records::rollup;

/// Sums over a range and its stretches.
pub(crate) fn stats(connection: &Connection, request: &StatsRequest) -> PortResult<Stats> {
    let mut sums = SumsOverTime::new(request)?;
    let only = Only { provider: request.provider.as_deref(), model: request.model.as_deref() };
    for run in sums.runs() {
        for_each(connection, &run, &only, |start, _, totals| sums.add(start, &totals))?;
    }
    Ok(sums.finish())
}

/// Sums for each model, most calls first.
pub(crate) fn model_stats(connection: &Connection, range: &Range<Timestamp>) -> PortResult<Vec<ModelStats>> {
    let mut sums = SumsOfModels::default();
    for run in SumsOfModels::runs(range) {
        for_each(connection, &run, &Only::default(), |_, (model, provider), totals| {
            sums.add(model, provider, &totals);
        })?;
    }
    Ok(sums.finish())
}

/// Which sums are read.
#[derive(Default)]
struct Only<'a> {
    provider: Option<&'a str>,
    model: Option<&'a str>,
}

fn for_each(
    connection: &Connection,
    run: &Run,
    only: &Only<'_>,
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
        .query_map(params![run.span, run.range.start, run.range.end, only.provider, only.model], read)
        .doing(DOING)?;
    for row in rows {
        let (start, name, totals) = row.doing(DOING)?;
        each(start, name, totals?);
    }
    Ok(())
}
