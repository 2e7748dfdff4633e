//! Sums over minutes, hours and days, kept with the records they count.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use verbatim_core::model::{Exchange, Outcome, Provenance, Totals};
use verbatim_core::ports::{PortError, PortResult};
use verbatim_sqlite::Doing;

use crate::encoding::{decode_histogram, encode_histogram};

/// The lengths of stretches that sums are kept over, in seconds.
pub(crate) const SPANS: [i64; 3] = [DAY, HOUR, MINUTE];
pub(crate) const DAY: i64 = 86_400;
pub(crate) const HOUR: i64 = 3_600;
pub(crate) const MINUTE: i64 = 60;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    start: i64,
    provider: String,
    model: String,
    outcome: Outcome,
}

#[derive(Default)]
struct Change {
    add: Totals,
    subtract: Totals,
}

/// What a transaction changes in the sums.
#[derive(Default)]
pub(crate) struct Changes {
    minutes: BTreeMap<Key, Change>,
}

impl Changes {
    /// Counts an exchange that ended.
    pub(crate) fn add(&mut self, exchange: &Exchange) {
        if let Some(change) = self.change(exchange) {
            count(&mut change.add, exchange);
        }
    }

    /// Takes back what an exchange was counted as.
    pub(crate) fn subtract(&mut self, exchange: &Exchange) {
        if let Some(change) = self.change(exchange) {
            count(&mut change.subtract, exchange);
        }
    }

    fn change(&mut self, exchange: &Exchange) -> Option<&mut Change> {
        if exchange.outcome == Outcome::Running {
            return None;
        }
        let key = Key {
            start: floor(exchange.began_at.as_unix_us().div_euclid(1_000_000), MINUTE),
            provider: exchange.provider.replace('\0', "\u{fffd}"),
            model: exchange.model().unwrap_or_default().replace('\0', "\u{fffd}"),
            outcome: exchange.outcome,
        };
        Some(self.minutes.entry(key).or_default())
    }

    /// Writes the changes.
    pub(crate) fn apply(self, connection: &Connection) -> PortResult<()> {
        for span in SPANS {
            let mut changes: BTreeMap<Key, Change> = BTreeMap::new();
            for (key, change) in &self.minutes {
                let mine = changes.entry(Key { start: floor(key.start, span), ..key.clone() }).or_default();
                mine.add.merge(&change.add);
                mine.subtract.merge(&change.subtract);
            }
            for (key, change) in &changes {
                write(connection, span, key, change)?;
            }
        }
        Ok(())
    }
}

pub(crate) fn floor(seconds: i64, span: i64) -> i64 {
    seconds.div_euclid(span) * span
}

fn count(totals: &mut Totals, exchange: &Exchange) {
    let usage = &exchange.usage;
    let add = |sum: &mut u64, figure: Option<u64>| *sum = sum.saturating_add(figure.unwrap_or(0));
    totals.calls += 1;
    totals.completed += u64::from(exchange.outcome == Outcome::Completed);
    add(&mut totals.input_tokens, usage.input_tokens);
    add(&mut totals.output_tokens, usage.output_tokens);
    add(&mut totals.cache_read_tokens, usage.cache_read_tokens);
    add(&mut totals.cost_micros, exchange.cost_micros);
    totals.estimated += u64::from(usage.provenance == Some(Provenance::Estimated));
    add(&mut totals.lost_bytes, Some(exchange.lost_bytes));
    add(&mut totals.duration_us, exchange.duration_us);
    exchange.duration_us.into_iter().for_each(|us| totals.durations.record(us));
    exchange.first_token_us.into_iter().for_each(|us| totals.first_tokens.record(us));
}

/// `totals` less what `taken` counted; never below zero.
fn subtract(totals: &mut Totals, taken: &Totals) {
    let minus = |mine: &mut u64, theirs: u64| *mine = mine.saturating_sub(theirs);
    minus(&mut totals.calls, taken.calls);
    minus(&mut totals.completed, taken.completed);
    minus(&mut totals.duration_us, taken.duration_us);
    minus(&mut totals.input_tokens, taken.input_tokens);
    minus(&mut totals.output_tokens, taken.output_tokens);
    minus(&mut totals.cache_read_tokens, taken.cache_read_tokens);
    minus(&mut totals.cost_micros, taken.cost_micros);
    minus(&mut totals.estimated, taken.estimated);
    minus(&mut totals.lost_bytes, taken.lost_bytes);
    totals.durations.subtract(&taken.durations);
    totals.first_tokens.subtract(&taken.first_tokens);
}

fn write(connection: &Connection, span: i64, key: &Key, change: &Change) -> PortResult<()> {
    let Key { start, provider, model, outcome } = key;
    let mut select =
        connection.prepare_cached(include_str!("../../queries/select_rollup.sql")).doing("read the sums")?;
    let stored = select
        .query_row(params![span, start, provider, model, outcome.number()], |row| read(row, *outcome))
        .optional()
        .doing("read the sums")?;
    let mut totals = stored.transpose()?.unwrap_or_default();
    totals.merge(&change.add);
    subtract(&mut totals, &change.subtract);
    let int = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    connection
        .prepare_cached(include_str!("../../queries/upsert_rollup.sql"))
        .and_then(|mut upsert| {
            upsert.execute(params![
                span,
                start,
                provider,
                model,
                outcome.number(),
                int(totals.calls),
                int(totals.duration_us),
                int(totals.input_tokens),
                int(totals.output_tokens),
                int(totals.cache_read_tokens),
                int(totals.cost_micros),
                int(totals.estimated),
                int(totals.lost_bytes),
                encode_histogram(&totals.durations),
                encode_histogram(&totals.first_tokens),
            ])
        })
        .doing("write the sums")?;
    Ok(())
}

/// Reads the sums from the first ten columns of a row.
pub(crate) fn read(row: &Row<'_>, outcome: Outcome) -> rusqlite::Result<PortResult<Totals>> {
    let number = |column| row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(0));
    let calls = number(0)?;
    let histogram = |column| {
        let decoded = decode_histogram(row.get_ref(column)?.as_blob()?);
        Ok::<_, rusqlite::Error>(
            decoded.map_err(|error| PortError::permanent("a distribution of durations is damaged", error)),
        )
    };
    let (durations, first_tokens) = (histogram(8)?, histogram(9)?);
    let totals = Totals {
        calls,
        completed: if outcome == Outcome::Completed { calls } else { 0 },
        duration_us: number(1)?,
        input_tokens: number(2)?,
        output_tokens: number(3)?,
        cache_read_tokens: number(4)?,
        cost_micros: number(5)?,
        estimated: number(6)?,
        lost_bytes: number(7)?,
        ..Totals::default()
    };
    Ok(durations.and_then(|durations| {
        let first_tokens = first_tokens?;
        Ok(Totals { durations, first_tokens, ..totals })
    }))
}
