//! Finding documents.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use verbatim_core::model::query::{Condition, Field, Filter};
use verbatim_core::model::{ExchangeId, Timestamp};
use verbatim_core::ports::{PortResult, SearchRequest};
use verbatim_search_text::Needles;
use verbatim_sqlite::{SqlCondition, to_sql};

use crate::damage::Watch;
use crate::expression::{expression, of_needle};
use crate::facets;
use crate::place;

/// Matches are counted up to here.
const COUNTED: u64 = 10_000;

/// Rows that are looked at to count what filters leave of them; past that the total is not known.
const LOOKED_AT: u64 = 200_000;

/// How far an exchange's beginning may lie from the time in its id, so that the rows outside a time range need not
/// be looked at: both are read from one clock, but it may be set meanwhile.
const CLOCK_SLACK_MS: i64 = 24 * 3_600 * 1_000;

/// A document that was found, with its packed text.
pub(crate) struct Found {
    pub(crate) id: ExchangeId,
    pub(crate) body: Vec<u8>,
}

/// What was found, newest first.
#[derive(Default)]
pub(crate) struct FoundPage {
    pub(crate) found: Vec<Found>,
    pub(crate) more: bool,
    pub(crate) total: Option<u64>,
    /// What to highlight.
    pub(crate) needles: Needles,
}

/// Runs a search in the transaction that `connection` is in.
pub(crate) fn find(connection: &Connection, request: &SearchRequest, watch: &Watch) -> PortResult<FoundPage> {
    let needles = Needles::of(&request.query);
    if needles.hopeless {
        return Ok(FoundPage { total: Some(0), ..FoundPage::default() });
    }
    let result = Search::new(connection, request, needles).and_then(|search| search.run(request));
    watch.doing("search", result)
}

struct Search<'a> {
    connection: &'a Connection,
    needles: Needles,
    /// What is looked up in the postings, if anything.
    expression: Option<String>,
    /// What has to be asked of each row, if anything.
    filters: Option<SqlCondition>,
    /// The rows that ids and a time range leave.
    rows: (i64, i64),
}

impl<'a> Search<'a> {
    fn new(
        connection: &'a Connection,
        request: &SearchRequest,
        mut needles: Needles,
    ) -> rusqlite::Result<Self> {
        if let Some(last) = needles.unfinished() {
            let whole: Option<i64> = connection
                .prepare_cached("SELECT rowid FROM words WHERE words MATCH ? LIMIT 1")?
                .query_row([of_needle(last)], |row| row.get(0))
                .optional()?;
            last.prefix = whole.is_none();
        }
        let split = facets::split(&request.query.filters);
        Ok(Self {
            connection,
            expression: expression(&needles, &split),
            needles,
            filters: (!split.rest.is_empty()).then(|| to_sql(&split.rest, "doc")),
            rows: rows_within(&split.rest),
        })
    }

    fn run(self, request: &SearchRequest) -> rusqlite::Result<FoundPage> {
        let wanted = usize::try_from(request.skip).unwrap_or(usize::MAX).saturating_add(request.limit);
        let (mut rows, more) = self.newest(request.before, wanted)?;
        rows.drain(..rows.len().min(usize::try_from(request.skip).unwrap_or(usize::MAX)));
        let mut body = self.connection.prepare_cached("SELECT text FROM body WHERE rowid = ?")?;
        let found = rows
            .into_iter()
            .map(|(row, id)| Ok(Found { id, body: body.query_row([row], |row| row.get(0))? }))
            .collect::<rusqlite::Result<_>>()?;
        Ok(FoundPage { found, more, total: self.total()?, needles: self.needles })
    }

    /// The newest `wanted` rows with their ids, in the order of the ids, and whether there are more.
    fn newest(
        &self,
        before: Option<ExchangeId>,
        wanted: usize,
    ) -> rusqlite::Result<(Vec<(i64, ExchangeId)>, bool)> {
        let until = before.map_or(self.rows.1, |before| self.rows.1.min(*place::rows_of(before).end()));
        let (source, order) = self.source();
        let sql =
            format!("SELECT doc.rowid, doc.id FROM {source} AND {} ORDER BY {order} DESC", self.filter_sql());
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut found = statement.query(params_from_iter(self.values((self.rows.0, until), true)))?;
        let mut rows: Vec<(i64, ExchangeId)> = Vec::new();
        while let Some(row) = found.next()? {
            let (number, id): (i64, ExchangeId) = (row.get(0)?, id_of(row)?);
            if before.is_some_and(|before| id >= before) {
                continue;
            }
            // Rows of one millisecond stand in no order: all of them have to be seen before any can be left out.
            let whole_milliseconds = rows
                .last()
                .is_some_and(|(last, _)| place::millisecond_of(*last) != place::millisecond_of(number));
            if rows.len() > wanted && whole_milliseconds {
                break;
            }
            rows.push((number, id));
        }
        rows.sort_unstable_by(|(_, one), (_, other)| other.cmp(one));
        let more = rows.len() > wanted;
        rows.truncate(wanted);
        Ok((rows, more))
    }

    /// How many match, up to [`COUNTED`]; `None` where too many would have to be looked at to tell.
    fn total(&self) -> rusqlite::Result<Option<u64>> {
        if self.filters.is_none() {
            let (table, matching) = match self.expression {
                None => ("doc", "TRUE"),
                Some(_) => ("words", "words MATCH ?"),
            };
            let sql =
                format!("SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {matching} LIMIT {COUNTED})");
            let mut statement = self.connection.prepare_cached(&sql)?;
            let count: i64 = statement.query_row(params_from_iter(&self.expression), |row| row.get(0))?;
            return Ok(Some(u64::try_from(count).unwrap_or(0)));
        }
        let (source, order) = self.source();
        // Every row comes back, so that those looked at can be counted.
        let sql = format!("SELECT {} FROM {source} ORDER BY {order} DESC", self.filter_sql());
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut looked_at = statement.query(params_from_iter(self.values(self.rows, false)))?;
        let (mut count, mut looked) = (0, 0);
        while let Some(row) = looked_at.next()? {
            count += u64::from(row.get::<_, Option<bool>>(0)?.unwrap_or(false));
            looked += 1;
            if count == COUNTED {
                return Ok(Some(count));
            }
            if looked == LOOKED_AT {
                return Ok(None);
            }
        }
        Ok(Some(count))
    }

    /// The tables to look in with the rows to look at, and the column that orders them.
    fn source(&self) -> (&'static str, &'static str) {
        if self.expression.is_none() {
            ("doc WHERE doc.rowid BETWEEN ? AND ?", "doc.rowid")
        } else {
            // CROSS keeps SQLite from looking through `doc` first.
            (
                "words CROSS JOIN doc ON doc.rowid = words.rowid WHERE words MATCH ? AND words.rowid >= ? AND words.rowid <= ?",
                "words.rowid",
            )
        }
    }

    fn filter_sql(&self) -> &str {
        self.filters.as_ref().map_or("TRUE", |filters| filters.sql.as_str())
    }

    /// What the `?`s stand for: of [`source`](Self::source) and of the filters, whichever comes first in the SQL.
    fn values(&self, rows: (i64, i64), source_first: bool) -> Vec<Value> {
        let filters = self.filters.iter().flat_map(|filters| filters.values.iter().cloned());
        let source =
            self.expression.clone().map(Value::from).into_iter().chain([rows.0.into(), rows.1.into()]);
        if source_first { source.chain(filters).collect() } else { filters.chain(source).collect() }
    }
}

fn id_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<ExchangeId> {
    let bytes = row.get_ref(1)?.as_blob()?;
    ExchangeId::try_from(bytes).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Blob, Box::new(error))
    })
}

/// The rows that filters by id and time leave to be looked at. The filters themselves still have to hold.
fn rows_within(filters: &[Filter]) -> (i64, i64) {
    let row = |ms: i64| *place::rows_of(ExchangeId::lowest_at(Timestamp::from_unix_ms(ms))).start();
    let (mut first, mut last) = (0, i64::MAX);
    for filter in filters.iter().filter(|filter| !filter.excluded) {
        match (filter.field, &filter.condition) {
            (Field::Id, Condition::Id(id)) => {
                first = first.max(*place::rows_of(*id).start());
                last = last.min(*place::rows_of(*id).end());
            }
            (Field::Began, Condition::Time { from, to }) => {
                if let Some(from) = from {
                    first = first.max(row(from.as_unix_ms().saturating_sub(CLOCK_SLACK_MS)));
                }
                if let Some(to) = to {
                    last = last.min(row(to.as_unix_ms().saturating_add(CLOCK_SLACK_MS)));
                }
            }
            _ => {}
        }
    }
    (first, last)
}
