//! Sums over time, from those that are folded and those that are only noted.

use std::ops::Range;

use deadpool_postgres::Object;
use verbatim_archive_format::sums::{Run, SumsOfModels, SumsOverTime};
use verbatim_archive_format::text::clean;
use verbatim_core::model::{ModelStats, Stats, Timestamp, Totals};
use verbatim_core::ports::StatsRequest;

use crate::error::{Doing, Fault};
use crate::records::columns::Columns;
use crate::records::rollup;

/// Sums over a range and its stretches.
pub(crate) async fn stats(client: Object, request: &StatsRequest) -> Result<Stats, Fault> {
    let mut sums = SumsOverTime::new(request)?;
    let only = Only { provider: request.provider.as_deref(), model: request.model.as_deref() };
    for sum in read(&client, &sums.runs(), &only).await? {
        if sum.taken { sums.subtract(sum.start, &sum.totals) } else { sums.add(sum.start, &sum.totals) }
    }
    Ok(sums.finish())
}

/// Sums for each model, most calls first.
pub(crate) async fn model_stats(client: Object, range: &Range<Timestamp>) -> Result<Vec<ModelStats>, Fault> {
    let mut sums = SumsOfModels::default();
    for sum in read(&client, &SumsOfModels::runs(range), &Only::default()).await? {
        let Sum { model, provider, totals, .. } = sum;
        if sum.taken { sums.subtract(model, provider, &totals) } else { sums.add(model, provider, &totals) }
    }
    Ok(sums.finish())
}

/// Which sums are read.
#[derive(Default)]
struct Only<'a> {
    provider: Option<&'a str>,
    model: Option<&'a str>,
}

struct Sum {
    start: i64,
    provider: String,
    model: String,
    taken: bool,
    totals: Totals,
}

/// In one statement: what is folded meanwhile is seen in one place, not in none and not in both. What was taken comes
/// last.
async fn read(client: &Object, runs: &[Run], only: &Only<'_>) -> Result<Vec<Sum>, Fault> {
    const DOING: &str = "read sums";
    let name = |text: Option<&str>| text.map(|text| rollup::name(&clean(text)).to_owned());
    let (provider, model) = (name(only.provider), name(only.model));
    let spans: Vec<i32> = runs.iter().map(|run| i32::try_from(run.span).unwrap_or(i32::MAX)).collect();
    let from: Vec<i64> = runs.iter().map(|run| run.range.start).collect();
    let to: Vec<i64> = runs.iter().map(|run| run.range.end).collect();
    let statement = client.prepare_cached(include_str!("../queries/select_sums.sql")).await.doing(DOING)?;
    let rows = client.query(&statement, &[&spans, &from, &to, &provider, &model]).await.doing(DOING)?;
    let mut sums = Vec::with_capacity(rows.len());
    for row in &rows {
        let outcome = rollup::outcome_of(row.get(13));
        sums.push(Sum {
            start: row.get(10),
            provider: row.get(11),
            model: row.get(12),
            taken: row.get(14),
            totals: rollup::read(&mut Columns::new(row), outcome)?,
        });
    }
    Ok(sums)
}
