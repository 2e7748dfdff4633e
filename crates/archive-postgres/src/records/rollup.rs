//! Sums: changes noted by commits, and folded into minutes, hours and days.

use std::collections::BTreeMap;

use deadpool_postgres::{Object, Transaction};
use verbatim_archive_format::encoding::{decode_histogram, encode_histogram};
use verbatim_archive_format::sums::{Change, Changes, Key, SPANS};
use verbatim_archive_format::text::int;
use verbatim_core::model::{Outcome, Totals};

use super::columns::{Columns, Parameters, references};
use super::totals;
use crate::error::{Doing, Fault};
use crate::locks;

/// So many noted changes are folded in one transaction.
const AT_ONCE: i64 = 5_000;
/// An entry of an index has a bounded size: sums go by the first characters of a name.
const NAME: usize = 256;

/// The columns of sums, from which [`read`] reads.
pub(crate) const SUMS: &str = "calls, duration_us, input_tokens, output_tokens, cache_read_tokens, cost_micros, \
                               estimated, lost_bytes, durations, first_tokens";

/// A name as sums have it.
pub(crate) fn name(text: &str) -> &str {
    text.char_indices().nth(NAME).map_or(text, |(end, _)| &text[..end])
}

/// Notes what a transaction changes.
pub(crate) async fn note(transaction: &Transaction<'_>, changes: &Changes) -> Result<(), Fault> {
    const DOING: &str = "note sums";
    let mut rows: Vec<(bool, &Key, &Totals)> = Vec::new();
    for (key, change) in &changes.minutes {
        let both = [(false, key, &change.add), (true, key, &change.subtract)];
        rows.extend(both.into_iter().filter(|(_, _, totals)| totals.calls > 0));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let mut parameters = of_keys(rows.iter().map(|(_, key, _)| *key));
    parameters.push(Box::new(rows.iter().map(|(taken, _, _)| *taken).collect::<Vec<_>>()));
    parameters.extend(of_totals(rows.iter().map(|(_, _, totals)| *totals)));
    let statement =
        transaction.prepare_cached(include_str!("../../queries/note_sums.sql")).await.doing(DOING)?;
    transaction.execute(&statement, &references(&parameters)).await.doing(DOING)?;
    Ok(())
}

fn of_keys<'a>(keys: impl Iterator<Item = &'a Key> + Clone) -> Parameters<'a> {
    vec![
        Box::new(keys.clone().map(|key| key.start).collect::<Vec<_>>()),
        Box::new(keys.clone().map(|key| name(&key.provider)).collect::<Vec<_>>()),
        Box::new(keys.clone().map(|key| name(&key.model)).collect::<Vec<_>>()),
        Box::new(keys.map(|key| i16::from(key.outcome.number())).collect::<Vec<_>>()),
    ]
}

fn of_totals<'a>(totals: impl Iterator<Item = &'a Totals> + Clone) -> Parameters<'a> {
    let numbers = |value: fn(&Totals) -> u64| -> Box<dyn tokio_postgres::types::ToSql + Sync + Send> {
        Box::new(totals.clone().map(|totals| int(value(totals))).collect::<Vec<_>>())
    };
    vec![
        numbers(|totals| totals.calls),
        numbers(|totals| totals.duration_us),
        numbers(|totals| totals.input_tokens),
        numbers(|totals| totals.output_tokens),
        numbers(|totals| totals.cache_read_tokens),
        numbers(|totals| totals.cost_micros),
        numbers(|totals| totals.estimated),
        numbers(|totals| totals.lost_bytes),
        Box::new(totals.clone().map(|totals| encode_histogram(&totals.durations)).collect::<Vec<_>>()),
        Box::new(totals.map(|totals| encode_histogram(&totals.first_tokens)).collect::<Vec<_>>()),
    ]
}

/// Reads a sum from the columns of [`SUMS`].
pub(crate) fn read(columns: &mut Columns<'_>, outcome: Outcome) -> Result<Totals, Fault> {
    let mut number = || Ok::<_, Fault>(columns.number()?.unwrap_or(0));
    let calls = number()?;
    let totals = Totals {
        calls,
        completed: if outcome == Outcome::Completed { calls } else { 0 },
        duration_us: number()?,
        input_tokens: number()?,
        output_tokens: number()?,
        cache_read_tokens: number()?,
        cost_micros: number()?,
        estimated: number()?,
        lost_bytes: number()?,
        ..Totals::default()
    };
    let mut histogram = || {
        decode_histogram(columns.take()?)
            .map_err(|error| Fault::permanent(format!("a distribution of durations is damaged: {error}")))
    };
    Ok(Totals { durations: histogram()?, first_tokens: histogram()?, ..totals })
}

/// Folds what was noted into sums and totals, unless another process is at it.
pub(crate) async fn fold(mut client: Object) -> Result<(), Fault> {
    loop {
        let transaction = client.transaction().await.doing("fold sums")?;
        if !locks::try_to_take(transaction.client(), locks::FOLD).await? {
            return Ok(());
        }
        totals::fold(transaction.client()).await?;
        let folded = fold_sums(&transaction).await?;
        transaction.commit().await.doing("fold sums")?;
        metrics::counter!("verbatim_archive_folded_total").increment(folded.unsigned_abs());
        if folded < AT_ONCE {
            return Ok(());
        }
    }
}

/// In the order in which they were noted: what is taken back was added before.
async fn fold_sums(transaction: &Transaction<'_>) -> Result<i64, Fault> {
    const DOING: &str = "fold sums";
    let sql = format!(
        "DELETE FROM rollup_delta WHERE number IN (SELECT number FROM rollup_delta ORDER BY number LIMIT $1)
         RETURNING {SUMS}, start, provider, model, outcome, taken"
    );
    let rows = transaction.query(&sql, &[&AT_ONCE]).await.doing(DOING)?;
    let mut changes = Changes::default();
    for row in &rows {
        let (start, provider, model): (i64, String, String) = (row.get(10), row.get(11), row.get(12));
        let outcome = outcome_of(row.get(13));
        let totals = read(&mut Columns::new(row), outcome)?;
        let change = changes.minutes.entry(Key { start, provider, model, outcome }).or_default();
        let side = if row.get(14) { &mut change.subtract } else { &mut change.add };
        side.merge(&totals);
    }
    for span in SPANS {
        let changes = changes.over(span);
        if !changes.is_empty() {
            write(transaction, span, &changes).await?;
        }
    }
    Ok(i64::try_from(rows.len()).unwrap_or(i64::MAX))
}

async fn write(
    transaction: &Transaction<'_>,
    span: i64,
    changes: &BTreeMap<Key, Change>,
) -> Result<(), Fault> {
    const DOING: &str = "write sums";
    let span = i32::try_from(span).unwrap_or(i32::MAX);
    let mut parameters = of_keys(changes.keys());
    parameters.push(Box::new(span));
    let sql = format!(
        "SELECT {SUMS}, start, provider, model, outcome FROM rollup
         JOIN unnest($1::bigint[], $2::text[], $3::text[], $4::smallint[]) AS k (start, provider, model, outcome)
         USING (start, provider, model, outcome) WHERE span = $5"
    );
    let mut sums: BTreeMap<Key, Totals> = BTreeMap::new();
    for row in &transaction.query(&sql, &references(&parameters)).await.doing(DOING)? {
        let outcome = outcome_of(row.get(13));
        let key = Key { start: row.get(10), provider: row.get(11), model: row.get(12), outcome };
        sums.insert(key, read(&mut Columns::new(row), outcome)?);
    }
    for (key, change) in changes {
        change.apply(sums.entry(key.clone()).or_default());
    }
    let mut parameters = of_keys(sums.keys());
    parameters.push(Box::new(span));
    parameters.extend(of_totals(sums.values()));
    let sql = include_str!("../../queries/upsert_rollup.sql");
    transaction.execute(sql, &references(&parameters)).await.doing(DOING)?;
    Ok(())
}

/// An outcome by its number; one that this program does not know counts as incomplete.
pub(crate) fn outcome_of(number: i16) -> Outcome {
    u8::try_from(number).ok().and_then(Outcome::from_number).unwrap_or(Outcome::Incomplete)
}
