//! Which exchanges match: keyset pages, newest first, each by the index that leaves least to look at.
//!
//! Days are looked through from the newest, few at first, then ever more at a time: a page is mostly full before the
//! second, and planning a query takes longer the more partitions it may touch.

use deadpool_postgres::Object;
use jiff::civil::Date;
use uuid::Uuid;
use verbatim_archive_format::seek::{Bounds, Driver, Trouble, drivers};
use verbatim_archive_format::text::{int, unsigned};
use verbatim_core::model::query::{Field, Filter};
use verbatim_core::ports::{ListRequest, Page};

use crate::day;
use crate::error::{Doing, Fault};
use crate::filter::{Sql, Value};
use crate::records::find::get_many;
use crate::records::totals;
use crate::tombstone::Tombstone;

#[cfg(test)]
mod plans;
mod values;

/// Most days in one statement.
const WIDEST: usize = 64;
/// Nobody reads a longer page.
const LONGEST: usize = 10_000;
/// Fields that have an index by their text besides the session, those of fewest calls first.
const INDEXED: &[Field] =
    &[Field::Key, Field::Owner, Field::Project, Field::App, Field::Model, Field::Provider];

/// A page of exchanges, newest first.
pub(crate) async fn list(client: Object, request: &ListRequest) -> Result<Page, Fault> {
    let limit = request.limit.min(LONGEST);
    let bounds = Bounds::of(&request.filters, request.before, request.after);
    let mut windows = Windows::read(&client, &bounds).await?;
    let mut skip = request.skip;
    if request.filters.is_empty() && skip > 0 {
        skip -= windows.pass_over(&client, skip).await?;
    }
    let wanted = limit.saturating_add(1);
    let mut ids: Vec<Uuid> = Vec::new();
    while ids.len() < wanted
        && let Some(window) = windows.next()
    {
        if skip > 0 {
            let passed = count_in(&client, &request.filters, &window, skip).await?;
            if passed < skip {
                skip -= passed;
                continue;
            }
        }
        let room = u64::try_from(wanted - ids.len()).unwrap_or(u64::MAX);
        ids.extend(matching(&client, &request.filters, &window, skip, room).await?);
        skip = 0;
    }
    let more = ids.len() > limit;
    ids.truncate(limit);
    Ok(Page { exchanges: get_many(&client, &ids).await?, more })
}

/// How many match, up to `limit`.
pub(crate) async fn count(client: Object, filters: &[Filter], limit: u64) -> Result<u64, Fault> {
    if filters.is_empty() {
        return Ok(totals::all(&client).await?.0.min(limit));
    }
    let mut windows = Windows::read(&client, &Bounds::of(filters, None, None)).await?;
    let mut count = 0;
    while count < limit
        && let Some(window) = windows.next()
    {
        count += count_in(&client, filters, &window, limit - count).await?;
    }
    Ok(count)
}

async fn matching(
    client: &Object,
    filters: &[Filter],
    window: &Window,
    skip: u64,
    limit: u64,
) -> Result<Vec<Uuid>, Fault> {
    let Some(sources) = Sources::find(client, filters, window).await? else { return Ok(Vec::new()) };
    let sql = sources.select(window, Order::NewestFirst, skip, limit);
    let rows = run(client, &sql).await.doing("list exchanges")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn count_in(client: &Object, filters: &[Filter], window: &Window, limit: u64) -> Result<u64, Fault> {
    let Some(sources) = Sources::find(client, filters, window).await? else { return Ok(0) };
    let Sql { text, values } = sources.select(window, Order::Any, 0, limit);
    let sql = Sql { text: format!("SELECT count(*) FROM ({text}) AS matching"), values };
    let rows = run(client, &sql).await.doing("count exchanges")?;
    Ok(rows.first().map_or(0, |row| unsigned(row.get(0))))
}

/// Planned anew for its values: for other ids it opens other partitions.
async fn run(client: &Object, sql: &Sql) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
    let values: Vec<_> = sql.values.iter().map(Value::typed).collect();
    client.query_typed(&sql.text, &values).await
}

/// Ids that are looked through at once.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// From this one.
    from: Uuid,
    /// To below this one.
    below: Uuid,
    /// Only above this one.
    above: Option<Uuid>,
    /// To below this one go all rows of its days, wanted or not.
    end: Uuid,
}

/// The days that may have what is looked for.
struct Windows {
    /// Oldest first.
    days: Vec<Date>,
    width: usize,
    above: Option<Uuid>,
    below: Option<Uuid>,
}

impl Windows {
    async fn read(client: &Object, bounds: &Bounds) -> Result<Self, Fault> {
        const DOING: &str = "look which days there are";
        let sql = format!(
            "SELECT {}, ARRAY(SELECT day FROM exchange_day ORDER BY day) FROM tombstone AS t",
            Tombstone::COLUMNS
        );
        let statement = client.prepare_cached(&sql).await.doing(DOING)?;
        let row = client.query_one(&statement, &[]).await.doing(DOING)?;
        let above = bounds.above.max(Tombstone::of_row(&row).erased_through);
        let below = bounds.below;
        let mut days: Vec<Date> = row.get(2);
        days.retain(|&day| {
            above.is_none_or(|id| day::day_of(id) <= day) && below.is_none_or(|id| day <= day::day_of(id))
        });
        Ok(Self { days, width: 1, above: above.map(day::uuid), below: below.map(day::uuid) })
    }

    /// Passes over whole days by their totals; gives how many exchanges they have.
    async fn pass_over(&mut self, client: &Object, skip: u64) -> Result<u64, Fault> {
        // A day that is bounded is only partly wanted.
        if self.above.is_some() || self.below.is_some() {
            return Ok(0);
        }
        let totals: std::collections::HashMap<_, _> = totals::by_day(client).await?.into_iter().collect();
        let mut passed = 0;
        while let Some(newest) = self.days.last()
            && passed + totals.get(newest).copied().unwrap_or(0) <= skip
        {
            passed += totals.get(newest).copied().unwrap_or(0);
            self.days.pop();
        }
        Ok(passed)
    }

    /// The next days back in time, more of them than before.
    fn next(&mut self) -> Option<Window> {
        let newest = *self.days.last()?;
        let rest = self.days.len().saturating_sub(self.width);
        let oldest = *self.days.get(rest)?;
        self.days.truncate(rest);
        self.width = (self.width * 2).min(WIDEST);
        let end = day::bound(day::end(newest));
        Some(Window {
            from: day::bound(day::begin(oldest)),
            below: self.below.map_or(end, |bound| bound.min(end)),
            above: self.above,
            end,
        })
    }
}

/// In which order ids are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    NewestFirst,
    /// Where they are only counted.
    Any,
}

/// Where those that match come from, and what else must hold of them.
struct Sources {
    drivers: Vec<Driver>,
    others: Vec<Filter>,
}

impl Sources {
    /// `None` where nothing in this window can match.
    async fn find(client: &Object, filters: &[Filter], window: &Window) -> Result<Option<Self>, Fault> {
        let (driving, mut drivers) = drivers(filters, INDEXED);
        if let [Driver::Scan] = &drivers[..]
            && let Some(values) = values::drivers(client, filters, window).await?
        {
            drivers = values;
        }
        let others = filters.iter().enumerate().filter(|(at, _)| Some(*at) != driving);
        let others = others.map(|(_, filter)| filter.clone()).collect();
        Ok((!drivers.is_empty()).then_some(Self { drivers, others }))
    }

    /// SQL for the ids of those that match.
    fn select(&self, window: &Window, order: Order, skip: u64, limit: u64) -> Sql {
        let mut sql = Sql::default();
        let newest_first = if order == Order::NewestFirst { " ORDER BY id DESC" } else { "" };
        if let [driver] = &self.drivers[..] {
            branch(&mut sql, driver, &self.others, window);
            sql.push(newest_first);
        } else {
            sql.push("SELECT u.id FROM (");
            for (at, driver) in self.drivers.iter().enumerate() {
                sql.push(if at == 0 { "(" } else { " UNION (" });
                branch(&mut sql, driver, &self.others, window);
                // Each is cut to what a page can show before they are put together.
                sql.push(newest_first)
                    .push(" LIMIT ")
                    .bind(Value::Int(int(skip.saturating_add(limit))))
                    .push(")");
            }
            sql.push(") AS u").push(newest_first);
        }
        sql.push(" LIMIT ").bind(Value::Int(int(limit)));
        if skip > 0 {
            sql.push(" OFFSET ").bind(Value::Int(int(skip)));
        }
        sql
    }
}

fn branch(sql: &mut Sql, driver: &Driver, others: &[Filter], window: &Window) {
    sql.push("SELECT e.id FROM exchange AS e WHERE ");
    match driver {
        Driver::Scan => {}
        Driver::Equal { column, text } => {
            sql.push(&format!("e.{column} IS NOT NULL AND "));
            sql.equals(column, text);
            sql.push(" AND ");
        }
        // The words of the index's own condition, or of one that it is joined of.
        Driver::Troubled(trouble) => {
            sql.push(match trouble {
                Trouble::Status => "e.status >= 400 AND ",
                Trouble::Outcome => "e.outcome <> 1 AND ",
                Trouble::Error => "e.error IS NOT NULL AND ",
                Trouble::Any => "(e.outcome <> 1 OR e.status >= 400 OR e.error IS NOT NULL) AND ",
            });
        }
        Driver::Tagged => {
            sql.push("e.tags IS NOT NULL AND ");
        }
    }
    sql.filters(others);
    sql.push(" AND e.id >= ").bind(Value::Id(window.from));
    sql.push(" AND e.id < ").bind(Value::Id(window.below));
    if let Some(above) = window.above {
        sql.push(" AND e.id > ").bind(Value::Id(above));
    }
}
