//! Records by id.

use std::collections::HashMap;

use deadpool_postgres::Object;
use uuid::Uuid;
use verbatim_core::model::{Exchange, ExchangeId, Rank};

use super::columns::{Columns, LISTED, Table, read};
use crate::day::uuid;
use crate::error::{Doing, Fault};
use crate::tombstone::Tombstone;

/// A record with its packed heads.
pub(crate) struct Found {
    pub(crate) exchange: Exchange,
    pub(crate) heads: Vec<u8>,
}

/// Those that are there, from whichever table each is in, and what was deleted as of the same moment. Of those that
/// can't be read, the error.
pub(crate) async fn find(
    client: &Object,
    ids: &[ExchangeId],
) -> Result<(HashMap<ExchangeId, Result<Found, Fault>>, Tombstone), Fault> {
    const DOING: &str = "read exchanges";
    let wanted: Vec<Uuid> = ids.iter().copied().map(uuid).collect();
    let sql = format!(
        "SELECT {LISTED}, e.heads FROM exchange AS e
         WHERE e.id = ANY($1) AND e.id > (SELECT erased_through FROM tombstone)
         UNION ALL SELECT {LISTED}, e.heads FROM exchange_stray AS e WHERE e.id = ANY($1)"
    );
    // Prepared for its columns, but planned for these ids: only their partitions are opened.
    let statement = client.prepare_cached(&sql).await.doing(DOING)?;
    let rows = client.query(&statement, &[&wanted]).await.doing(DOING)?;
    // As of later than the rows: bodies that are gone meanwhile are told so, rather than missed.
    let tombstone = Tombstone::read(client).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let mut columns = Columns::new(row);
        let id = super::columns::id_of(row.try_get(0).doing(DOING)?)?;
        let whole = read(&mut columns);
        let whole = whole.and_then(|exchange| Ok(Found { exchange, heads: columns.take()? }));
        found.insert(id, whole);
    }
    Ok((found, tombstone))
}

/// Columns of those that are there and listed, in the order asked.
pub(crate) async fn get_many(client: &Object, ids: &[Uuid]) -> Result<Vec<Exchange>, Fault> {
    const DOING: &str = "read exchanges";
    let sql = format!("SELECT {LISTED} FROM exchange AS e WHERE e.id = ANY($1)");
    let statement = client.prepare_cached(&sql).await.doing(DOING)?;
    let rows = client.query(&statement, &[&ids]).await.doing(DOING)?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let exchange = read(&mut Columns::new(row))?;
        found.insert(uuid(exchange.id), exchange);
    }
    Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
}

/// Where those are that are in the other table than the one they are given with.
pub(crate) async fn elsewhere(
    client: &Object,
    ids: &[(ExchangeId, Table)],
) -> Result<HashMap<ExchangeId, Table>, Fault> {
    const DOING: &str = "find where exchanges are";
    let given_with = |table| -> Vec<Uuid> {
        ids.iter().filter(|(_, given)| *given == table).map(|(id, _)| uuid(*id)).collect()
    };
    let sql = "SELECT id, TRUE FROM exchange WHERE id = ANY($1)
               UNION ALL SELECT id, FALSE FROM exchange_stray WHERE id = ANY($2)";
    let statement = client.prepare_cached(sql).await.doing(DOING)?;
    let (stray, listed) = (given_with(Table::Stray), given_with(Table::Exchange));
    let rows = client.query(&statement, &[&stray, &listed]).await.doing(DOING)?;
    let place = |row: &tokio_postgres::Row| {
        let table = if row.try_get(1).doing(DOING)? { Table::Exchange } else { Table::Stray };
        Ok((super::columns::id_of(row.try_get(0).doing(DOING)?)?, table))
    };
    rows.iter().map(place).collect()
}

/// Ids of all that is kept, in either table, lowest first.
pub(crate) async fn ids(
    client: Object,
    after: Option<ExchangeId>,
    limit: usize,
) -> Result<Vec<ExchangeId>, Fault> {
    const DOING: &str = "walk exchanges";
    let sql = "(SELECT id FROM exchange WHERE id > greatest($1, (SELECT erased_through FROM tombstone))
                ORDER BY id LIMIT $2)
               UNION ALL (SELECT id FROM exchange_stray WHERE id > $1 ORDER BY id LIMIT $2)
               ORDER BY id LIMIT $2";
    let (after, limit) = (after.map_or(Uuid::nil(), uuid), i64::try_from(limit).unwrap_or(i64::MAX));
    let statement = client.prepare_cached(sql).await.doing(DOING)?;
    let rows = client.query(&statement, &[&after, &limit]).await.doing(DOING)?;
    rows.iter().map(|row| super::columns::id_of(row.try_get(0).doing(DOING)?)).collect()
}

/// The ranks of those that are archived, in the order asked.
pub(crate) async fn ranks(client: &Object, ids: &[ExchangeId]) -> Result<Vec<Option<Rank>>, Fault> {
    const DOING: &str = "read ranks";
    let wanted: Vec<Uuid> = ids.iter().copied().map(uuid).collect();
    let sql = "SELECT id, rank FROM exchange WHERE id = ANY($1)
               UNION ALL SELECT id, rank FROM exchange_stray WHERE id = ANY($1)";
    let statement = client.prepare_cached(sql).await.doing(DOING)?;
    let rows = client.query(&statement, &[&wanted]).await.doing(DOING)?;
    let tombstone = Tombstone::read(client).await?;
    let found: HashMap<Uuid, i16> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let rank = |id: &ExchangeId| {
        let known = found
            .get(&uuid(*id))
            .and_then(|number| Rank::ALL.iter().copied().find(|rank| i16::from(rank.number()) == *number));
        // What was deleted has been archived: nobody is to wait for it.
        known.or_else(|| tombstone.covers(*id).then_some(Rank::Complete))
    };
    Ok(ids.iter().map(rank).collect())
}
