//! What a window's matches come from, as SQL.

use deadpool_postgres::Object;
use verbatim_archive_format::seek::{Driver, Trouble, drivers};
use verbatim_archive_format::text::int;
use verbatim_core::model::query::{Field, Filter};

use super::values;
use super::windows::Window;
use crate::day;
use crate::error::Fault;
use crate::filter::{Sql, Value};

/// Fields that have an index by their text besides the session, those of fewest calls first.
const INDEXED: &[Field] =
    &[Field::Key, Field::Owner, Field::Project, Field::App, Field::Model, Field::Provider];

/// In which order ids are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    NewestFirst,
    /// Where they are only counted.
    Any,
}

/// Where those that match come from, and what else must hold of them.
pub(super) struct Sources {
    drivers: Vec<Driver>,
    others: Vec<Filter>,
}

impl Sources {
    /// `None` where nothing in this window can match.
    pub(super) async fn find(
        client: &Object,
        filters: &[Filter],
        window: &Window,
    ) -> Result<Option<Self>, Fault> {
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

    /// SQL for the ids of those that match, walked to until there are enough.
    pub(super) fn walked(&self, window: &Window, order: Order, skip: u64, limit: u64) -> Sql {
        let mut sql = Sql::default();
        let newest_first = if order == Order::NewestFirst { " ORDER BY id DESC" } else { "" };
        if let [driver] = &self.drivers[..] {
            matching(&mut sql, driver, &self.others, window);
            sql.push(newest_first);
        } else {
            sql.push("SELECT u.id FROM (");
            for (at, driver) in self.drivers.iter().enumerate() {
                sql.push(if at == 0 { "(" } else { " UNION (" });
                matching(&mut sql, driver, &self.others, window);
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

    /// SQL for the ids of all that match, in any order, up to `limit`. It is planned as if there was no limit: there are
    /// few, and that there are no more is known only in the end.
    ///
    /// Each index has the id, too, and the server never combines two of which both fulfil a condition on it. So days are
    /// asked one by one, without any; and the id's bounds, on a day in which there are some, are put as no index has them.
    pub(super) fn gathered(&self, window: &Window, limit: u64) -> Sql {
        let mut sql = Sql::default();
        conditions(&mut sql, &self.drivers, &self.others);
        let conditions = std::mem::take(&mut sql.text);
        sql.push("WITH matching AS MATERIALIZED (");
        for (at, &day) in window.days.iter().enumerate() {
            let union = if at == 0 { "" } else { " UNION ALL " };
            let table = day::table(day);
            sql.push(&format!("{union}SELECT e.id FROM {table} AS e WHERE {conditions}"));
            let [from, end] = [day::begin(day), day::end(day)].map(day::bound);
            if window.below < end {
                sql.push(" AND (e.id < ").bind(Value::Id(window.below)).push(") IS TRUE");
            }
            if let Some(above) = window.above.filter(|&above| above >= from) {
                sql.push(" AND (e.id > ").bind(Value::Id(above)).push(") IS TRUE");
            }
        }
        sql.push(") SELECT id FROM matching LIMIT ").bind(Value::Int(int(limit)));
        sql
    }
}

/// SQL for ids in a window that come from this source.
fn matching(sql: &mut Sql, driver: &Driver, others: &[Filter], window: &Window) {
    sql.push("SELECT e.id FROM exchange AS e WHERE ");
    conditions(sql, std::slice::from_ref(driver), others);
    sql.push(" AND e.id >= ").bind(Value::Id(window.from));
    sql.push(" AND e.id < ").bind(Value::Id(window.below));
    if let Some(above) = window.above {
        sql.push(" AND e.id > ").bind(Value::Id(above));
    }
}

/// The conditions of any of these drivers, and of all others.
fn conditions(sql: &mut Sql, drivers: &[Driver], others: &[Filter]) {
    for (at, driver) in drivers.iter().enumerate() {
        sql.push(if at == 0 { "((" } else { ") OR (" });
        source(sql, driver);
    }
    sql.push(")) AND ");
    sql.filters(others);
}

/// In the words of the index's own condition, or of one that it is joined of.
fn source(sql: &mut Sql, driver: &Driver) {
    match driver {
        Driver::Scan => {
            sql.push("TRUE");
        }
        Driver::Equal { column, text } => {
            sql.push(&format!("e.{column} IS NOT NULL AND "));
            sql.equals(column, text);
        }
        Driver::Troubled(trouble) => {
            sql.push(match trouble {
                Trouble::Status => "e.status >= 400",
                Trouble::Outcome => "e.outcome <> 1",
                Trouble::Error => "e.error IS NOT NULL",
                Trouble::Any => "e.outcome <> 1 OR e.status >= 400 OR e.error IS NOT NULL",
            });
        }
        Driver::Tagged => {
            sql.push("e.tags IS NOT NULL");
        }
    }
}
