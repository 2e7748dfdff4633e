//! Which exchanges match: keyset pages, each by the index that leaves least to look at.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use verbatim_archive_format::seek::{Bounds, Driver, Trouble, drivers};
use verbatim_archive_format::text::unsigned;
use verbatim_core::model::Exchange;
use verbatim_core::model::query::{Field, Filter};
use verbatim_core::ports::{ListRequest, Page, PortResult};
use verbatim_sqlite::{Doing, to_sql};

use crate::records::{Table, columns, state};

/// Fields that have an index by their text, those of fewest calls first.
const INDEXED: &[Field] = &[Field::Key, Field::Project, Field::App, Field::Model];

/// A page of exchanges, newest first.
pub(crate) fn list(connection: &Connection, request: &ListRequest) -> PortResult<Page> {
    let limit = request.limit.min(10_000);
    let bounds = Bounds::of(&request.filters, request.before, request.after);
    let wanted = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let ids = matching(connection, &request.filters, &bounds, request.skip, wanted)?;
    let more = ids.len() > limit;
    let exchanges = get_many(connection, ids.iter().take(limit).map(Vec::as_slice))?;
    Ok(Page { exchanges, more })
}

/// How many match, up to `limit`.
pub(crate) fn count(connection: &Connection, filters: &[Filter], limit: u64) -> PortResult<u64> {
    if filters.is_empty() {
        return Ok(state::count(connection, state::EXCHANGES)?.min(limit));
    }
    let bounds = Bounds::of(filters, None, None);
    let (sql, values) = select(filters, &bounds, 0, limit);
    let sql = format!("SELECT count(*) FROM ({sql})");
    let mut count = connection.prepare_cached(&sql).doing("count exchanges")?;
    let count: i64 = count.query_row(params_from_iter(values), |row| row.get(0)).doing("count exchanges")?;
    Ok(unsigned(count))
}

/// Columns of those that are there, in the order asked.
pub(crate) fn get_many<'a>(
    connection: &Connection,
    ids: impl Iterator<Item = &'a [u8]>,
) -> PortResult<Vec<Exchange>> {
    const DOING: &str = "read exchanges";
    let mut select = connection.prepare_cached(Table::Exchange.select_listed()).doing(DOING)?;
    let mut exchanges = Vec::new();
    for id in ids {
        let mut rows = select.query([id]).doing(DOING)?;
        if let Some(row) = rows.next().doing(DOING)? {
            exchanges.push(columns::read(row).doing(DOING)?.0);
        }
    }
    Ok(exchanges)
}

fn matching(
    connection: &Connection,
    filters: &[Filter],
    bounds: &Bounds,
    skip: u64,
    limit: u64,
) -> PortResult<Vec<Vec<u8>>> {
    const DOING: &str = "list exchanges";
    let (sql, values) = select(filters, bounds, skip, limit);
    let mut select = connection.prepare_cached(&sql).doing(DOING)?;
    let rows = select.query_map(params_from_iter(values), |row| row.get(0)).doing(DOING)?;
    rows.collect::<Result<_, _>>().doing(DOING)
}

/// SQL for the ids of those that match, newest first.
fn select(filters: &[Filter], bounds: &Bounds, skip: u64, limit: u64) -> (String, Vec<Value>) {
    let int = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let (driving, drivers) = drivers(filters, INDEXED);
    let others: Vec<Filter> = filters
        .iter()
        .enumerate()
        .filter(|(at, _)| Some(*at) != driving)
        .map(|(_, filter)| filter.clone())
        .collect();
    let mut branches: Vec<(String, Vec<Value>)> =
        drivers.into_iter().map(|driver| branch(driver, &others, bounds)).collect();
    let (mut sql, mut values) = match branches.len() {
        1 => branches.remove(0),
        _ => {
            let mut sql = String::from("SELECT id FROM (");
            let mut values = Vec::new();
            for (at, (branch, of_branch)) in branches.into_iter().enumerate() {
                let union = if at == 0 { "" } else { " UNION " };
                // Each is cut to what a page can show before they are put together.
                sql.push_str(&format!("{union}SELECT id FROM ({branch} LIMIT ?)"));
                values.extend(of_branch);
                values.push(int(skip.saturating_add(limit)));
            }
            (sql + ") ORDER BY id DESC", values)
        }
    };
    sql.push_str(" LIMIT ? OFFSET ?");
    values.extend([int(limit), int(skip)]);
    (sql, values)
}

fn branch(driver: Driver, others: &[Filter], bounds: &Bounds) -> (String, Vec<Value>) {
    let mut sql = String::from("SELECT e.id FROM exchange AS e ");
    let mut values = Vec::new();
    match driver {
        // Or a pattern with a star would make SQLite gather and sort all that match.
        Driver::Scan => sql.push_str("NOT INDEXED WHERE "),
        Driver::Equal { column, text } => {
            sql.push_str(&format!("INDEXED BY exchange_{column} WHERE e.{column} = ? COLLATE NOCASE AND "));
            values.push(Value::Text(text));
        }
        Driver::Troubled(trouble) => {
            sql.push_str(&format!("INDEXED BY exchange_troubled WHERE {} AND ", condition_of(trouble)));
        }
        Driver::Tagged => sql.push_str("INDEXED BY exchange_tags WHERE e.tags IS NOT NULL AND "),
    }
    let condition = to_sql(others, "e");
    sql.push_str(&condition.sql);
    values.extend(condition.values);
    for (bound, comparison) in [(bounds.above, ">"), (bounds.below, "<")] {
        if let Some(id) = bound {
            sql.push_str(&format!(" AND e.id {comparison} ?"));
            values.push(Value::Blob(id.as_bytes().to_vec()));
        }
    }
    sql.push_str(" ORDER BY e.id DESC");
    (sql, values)
}

/// Reads as the index's own condition, or as one of those that it is joined of, or SQLite would not see that it fits.
fn condition_of(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Status => "e.status >= 400",
        Trouble::Outcome => "e.outcome <> 1",
        Trouble::Error => "e.error IS NOT NULL",
        Trouble::Any => "(e.outcome <> 1 OR e.status >= 400 OR e.error IS NOT NULL)",
    }
}
