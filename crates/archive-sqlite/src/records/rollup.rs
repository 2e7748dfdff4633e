//! Sums over minutes, hours and days, kept with the records they count.

use rusqlite::{Connection, OptionalExtension, Row, params};
use verbatim_archive_format::encoding::{decode_histogram, encode_histogram};
use verbatim_archive_format::sums::{Change, Changes, Key, SPANS};
use verbatim_archive_format::text::{int, unsigned};
use verbatim_core::model::{Outcome, Totals};
use verbatim_core::ports::{PortError, PortResult};
use verbatim_sqlite::Doing;

/// Writes what a transaction changes.
pub(crate) fn apply(changes: &Changes, connection: &Connection) -> PortResult<()> {
    for span in SPANS {
        for (key, change) in &changes.over(span) {
            write(connection, span, key, change)?;
        }
    }
    Ok(())
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
    change.apply(&mut totals);
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
    let number = |column| row.get::<_, i64>(column).map(unsigned);
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
