//! Patterns as the few values that match them: `model:claude-*` of a month is two models, and a path that holds a word is
//! one of a handful. Each is then found by its index, and where there is none, nothing is looked through.

use deadpool_postgres::Object;
use verbatim_archive_format::seek::Driver;
use verbatim_archive_format::text::clean;
use verbatim_core::model::query::{Condition, Field, Filter, Pattern, TextColumns};

use super::run;
use super::windows::Window;
use crate::error::{Doing, Fault};
use crate::filter::{INDEXED, Sql, Value};

/// A column with more values than this is walked: calls that match are mostly not far apart then.
const KNOWN: i64 = 100;
/// So many matching values are looked up one by one.
const MOST: usize = 12;
/// Sorts after whatever a text may hold.
const LAST: char = char::MAX;

/// For the first filter that is a pattern on columns of few values: those values. `None` where there is no such filter.
pub(super) async fn drivers(
    client: &Object,
    filters: &[Filter],
    window: &Window,
) -> Result<Option<Vec<Driver>>, Fault> {
    for filter in filters.iter().filter(|filter| !filter.excluded) {
        let Condition::Matches(patterns) = &filter.condition else { continue };
        let columns: &[&'static str] = match (filter.field, filter.field.text_columns()) {
            (_, Some(TextColumns::Whole(columns))) if filter.field != Field::Method => columns,
            (Field::Path, _) => &["path"],
            _ => continue,
        };
        let mut found = Some(Vec::new());
        for column in columns {
            let values = matching(client, column, filter.field == Field::Path, patterns, window).await?;
            found = found.zip(values).map(|(found, values)| [found, values].concat());
        }
        if let Some(found) = found.filter(|found| found.len() <= MOST) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A column's values that match; `None` where it has too many to know them all.
async fn matching(
    client: &Object,
    column: &'static str,
    within: bool,
    patterns: &[Pattern],
    window: &Window,
) -> Result<Option<Vec<Driver>>, Fault> {
    let mut found: Vec<Driver> = Vec::new();
    for pattern in patterns {
        let (like, begin) = match (pattern.exact(), within) {
            (Some(exact), true) => (Pattern::like_of(&["", exact, ""]), ""),
            _ => (pattern.like(), pattern.runs.first().map_or("", String::as_str)),
        };
        let [like, begin] = [like.as_str(), begin].map(|text| clean(text).to_ascii_lowercase());
        let begin: String = begin.chars().take(INDEXED).collect();
        let sql = known(column, &begin, &like, window);
        let rows = run(client, &sql).await.doing("look which values there are")?;
        for row in &rows {
            let (text, at, matches): (String, i64, bool) = (row.get(0), row.get(1), row.get(2));
            // One that fills its entry may go on, and then says nothing of its end.
            if at >= KNOWN || text.chars().nth(INDEXED - 1).is_some() {
                return Ok(None);
            }
            let driver = Driver::Equal { column, text };
            if matches && !found.contains(&driver) {
                found.push(driver);
            }
        }
    }
    Ok(Some(found))
}

/// SQL for the values that begin so, in order, each found from the one before by a look at the index: how many rows have
/// it does not matter. Days are looked at whole, so that none of their rows is passed over to find one inside of bounds.
fn known(column: &str, begin: &str, like: &str, window: &Window) -> Sql {
    let expression = format!("lower(left(e.{column}, {INDEXED}))");
    let mut sql = Sql::default();
    let next = |sql: &mut Sql, after: &str| {
        sql.push(&format!(
            "SELECT {expression} FROM exchange AS e WHERE e.{column} IS NOT NULL AND {expression} "
        ));
        match after {
            "" => sql.push(">= ").bind(Value::Text(begin.to_owned())),
            after => sql.push("> ").push(after),
        };
        sql.push(&format!(" AND {expression} < ")).bind(Value::Text(format!("{begin}{LAST}")));
        sql.push(" AND e.id >= ").bind(Value::Id(window.from));
        sql.push(" AND e.id < ").bind(Value::Id(window.end));
        sql.push(&format!(" ORDER BY {expression} LIMIT 1"));
    };
    sql.push("WITH RECURSIVE known (text, at) AS (SELECT (");
    next(&mut sql, "");
    sql.push("), 0::bigint UNION ALL SELECT (");
    next(&mut sql, "k.text");
    sql.push("), k.at + 1 FROM known AS k WHERE k.text IS NOT NULL AND k.at < ").bind(Value::Int(KNOWN));
    sql.push(") SELECT text, at, text LIKE ").bind(Value::Text(like.to_owned()));
    sql.push(" FROM known WHERE text IS NOT NULL");
    sql
}
