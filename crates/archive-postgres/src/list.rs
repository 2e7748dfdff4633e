//! Which exchanges match: keyset pages, newest first, each by the indexes that leave least to look at.
//!
//! Days are looked through from the newest, few at first, then ever more at a time: a page is mostly full before the
//! second, and planning a query takes longer the more partitions it may touch.
//!
//! A window's matches are found in one of two ways. They are *walked* to in an index's order, until there are enough:
//! best where matches are frequent, and the way into the first window. Where several conditions have an index, and the
//! windows before had few matches, so that the next will most likely be read to its end, all of its matches are
//! *gathered*: conditions that are frequent each, and rare together, meet in the bitmaps of their indexes before a
//! record is read. So what was found decides, not what statistics say of conditions that they take to be independent.

use deadpool_postgres::{Object, Transaction};
use tokio_postgres::{Client, Error, Row};
use uuid::Uuid;
use verbatim_archive_format::seek::Bounds;
use verbatim_archive_format::text::unsigned;
use verbatim_core::model::query::{Field, Filter};
use verbatim_core::ports::{ListRequest, Page};

use self::sources::{Order, Sources};
use self::windows::{Window, Windows};
use crate::error::{Doing, Fault};
use crate::filter::{Sql, Value};
use crate::records::find::get_many;
use crate::records::totals;

#[cfg(test)]
mod gathers;
#[cfg(test)]
mod plans;
mod sources;
mod values;
mod windows;

/// Nobody reads a longer page.
const LONGEST: usize = 10_000;
/// So many more than a page has are gathered; where there are more yet, they are not rare, and walked to.
const BEYOND: u64 = 1_000;

/// A page of exchanges, newest first.
pub(crate) async fn list(client: Object, request: &ListRequest) -> Result<Page, Fault> {
    let limit = request.limit.min(LONGEST);
    let bounds = Bounds::of(&request.filters, request.before, request.after);
    let mut search = Search::begin(client, &request.filters, &bounds).await?;
    let mut skip = request.skip;
    if request.filters.is_empty() && skip > 0 {
        skip -= search.windows.pass_over(&search.client, skip).await?;
    }
    let wanted = limit.saturating_add(1);
    let mut ids: Vec<Uuid> = Vec::new();
    while ids.len() < wanted
        && let Some(window) = search.windows.next()
    {
        if skip > 0 {
            let passed = search.count_in(&window, skip).await?;
            if passed < skip {
                skip -= passed;
                search.windows.note(&window, passed);
                continue;
            }
        }
        let room = u64::try_from(wanted - ids.len()).unwrap_or(u64::MAX);
        let found = search.newest_in(&window, skip, room).await?;
        search.windows.note(&window, skip + u64::try_from(found.len()).unwrap_or(u64::MAX));
        ids.extend(found);
        skip = 0;
    }
    let more = ids.len() > limit;
    ids.truncate(limit);
    Ok(Page { exchanges: get_many(&search.client, &ids).await?, more })
}

/// How many match, up to `limit`.
pub(crate) async fn count(client: Object, filters: &[Filter], limit: u64) -> Result<u64, Fault> {
    if filters.is_empty() {
        return Ok(totals::all(&client).await?.0.min(limit));
    }
    let mut search = Search::begin(client, filters, &Bounds::of(filters, None, None)).await?;
    let mut count = 0;
    while count < limit
        && let Some(window) = search.windows.next()
    {
        let found = search.count_in(&window, limit - count).await?;
        search.windows.note(&window, found);
        count += found;
    }
    Ok(count)
}

/// One look for what matches.
struct Search<'a> {
    client: Object,
    filters: &'a [Filter],
    windows: Windows,
}

impl<'a> Search<'a> {
    async fn begin(client: Object, filters: &'a [Filter], bounds: &Bounds) -> Result<Self, Fault> {
        let windows = Windows::read(&client, bounds).await?;
        Ok(Self { client, filters, windows })
    }

    /// Whether all that matches in a window is gathered, where so many are wanted.
    fn gathers(&self, window: &Window, wanted: u64) -> bool {
        meet(self.filters) && self.windows.are_few(window, wanted)
    }

    /// The newest that match, up to `limit` of them, behind the first `skip`.
    async fn newest_in(&mut self, window: &Window, skip: u64, limit: u64) -> Result<Vec<Uuid>, Fault> {
        const DOING: &str = "list exchanges";
        let Some(sources) = Sources::find(&self.client, self.filters, window).await? else {
            return Ok(Vec::new());
        };
        let wanted = skip.saturating_add(limit);
        if wanted <= LONGEST as u64 && self.gathers(window, wanted) {
            let most = wanted + BEYOND;
            let rows = gather(&mut self.client, &sources.gathered(window, most)).await.doing(DOING)?;
            if (rows.len() as u64) < most {
                return Ok(newest(&rows, skip, limit));
            }
        }
        let sql = sources.walked(window, Order::NewestFirst, skip, limit);
        let rows = run(&self.client, &sql).await.doing(DOING)?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// How many match, up to `limit`.
    async fn count_in(&mut self, window: &Window, limit: u64) -> Result<u64, Fault> {
        let Some(sources) = Sources::find(&self.client, self.filters, window).await? else { return Ok(0) };
        let rows = if self.gathers(window, limit) {
            gather(&mut self.client, &counted(sources.gathered(window, limit))).await
        } else {
            run(&self.client, &counted(sources.walked(window, Order::Any, 0, limit))).await
        };
        Ok(rows.doing("count exchanges")?.first().map_or(0, |row| unsigned(row.get(0))))
    }
}

/// Whether several conditions are found by an index; where it is one alone, walking it reads as little as can be.
fn meet(filters: &[Filter]) -> bool {
    let has_index = |filter: &&Filter| {
        // Times bound the ids, which are in every index.
        let without = matches!(filter.field, Field::Began | Field::Id | Field::Stream | Field::HasTool);
        !(filter.excluded || without)
    };
    filters.iter().filter(has_index).count() > 1
}

/// Of ids in any order the newest ones behind the first `skip`.
fn newest(rows: &[Row], skip: u64, limit: u64) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    ids.sort_unstable_by(|one, other| other.cmp(one));
    let [skip, limit] = [skip, limit].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    ids.into_iter().skip(skip).take(limit).collect()
}

/// SQL for how many rows there are.
fn counted(sql: Sql) -> Sql {
    Sql { text: format!("SELECT count(*) FROM ({}) AS matching", sql.text), values: sql.values }
}

/// Planned anew for its values: for other ids it opens other partitions.
async fn run(client: &Client, sql: &Sql) -> Result<Vec<Row>, Error> {
    let values: Vec<_> = sql.values.iter().map(Value::typed).collect();
    client.query_typed(&sql.text, &values).await
}

/// The same, where all that matches is gathered.
async fn gather(client: &mut Object, sql: &Sql) -> Result<Vec<Row>, Error> {
    let transaction = gathering(client).await?;
    let rows = run(transaction.client(), sql).await?;
    transaction.commit().await?;
    Ok(rows)
}

/// In here several indexes may be used at once, as a connection that walks does not; and one process alone looks.
async fn gathering(client: &mut Object) -> Result<Transaction<'_>, Error> {
    let transaction = client.transaction().await?;
    let settings = "SET LOCAL enable_bitmapscan = on; SET LOCAL max_parallel_workers_per_gather = 0";
    transaction.batch_execute(settings).await?;
    Ok(transaction)
}
