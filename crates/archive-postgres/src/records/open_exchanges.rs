//! Exchanges whose start was seen and whose end is not archived.

use deadpool_postgres::Object;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;
use verbatim_archive_format::text::{clean, int, unsigned};
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{OpenExchange, Sequence};

use crate::day::uuid;
use crate::error::{Doing, Fault};
use crate::records::columns::id_of;

/// Remembers exchanges as open, but for those that are archived.
pub(crate) async fn open(client: Object, exchanges: &[OpenExchange], advance: bool) -> Result<(), Fault> {
    const DOING: &str = "remember open exchanges";
    // One statement can't write a row twice; in the order of ids, two that write the same ones don't wait for each
    // other in a circle.
    let mut rounds: Vec<Vec<&OpenExchange>> = Vec::new();
    let mut sorted: Vec<&OpenExchange> = exchanges.iter().collect();
    sorted.sort_by_key(|open| open.id);
    for open in sorted {
        match rounds.iter_mut().find(|round| round.last().is_none_or(|last| last.id < open.id)) {
            Some(round) => round.push(open),
            None => rounds.push(vec![open]),
        }
    }
    for round in rounds {
        let ids: Vec<Uuid> = round.iter().map(|open| uuid(open.id)).collect();
        let gateways: Vec<_> = round.iter().map(|open| clean(&open.gateway)).collect();
        let sequences: Vec<i64> = round.iter().map(|open| int(open.sequence)).collect();
        let sql = include_str!("../../queries/open_exchanges.sql");
        let statement = client.prepare_cached(sql).await.doing(DOING)?;
        client.execute(&statement, &[&ids, &gateways, &sequences, &advance]).await.doing(DOING)?;
        // A commit that was under way saw nothing to close, and this saw no record: now one of the two sees the other.
        let sql = include_str!("../../queries/close_archived.sql");
        let statement = client.prepare_cached(sql).await.doing(DOING)?;
        client.execute(&statement, &[&ids]).await.doing(DOING)?;
    }
    Ok(())
}

/// Closes those that are open of these.
pub(crate) async fn close(client: &Client, ids: &[Uuid]) -> Result<(), Fault> {
    const DOING: &str = "close exchanges";
    if ids.is_empty() {
        return Ok(());
    }
    let sql = "DELETE FROM open_exchange WHERE id IN \
               (SELECT id FROM open_exchange WHERE id = ANY($1) ORDER BY id FOR UPDATE)";
    client.query_typed(sql, &[(&ids, Type::UUID_ARRAY)]).await.doing(DOING)?;
    Ok(())
}

pub(crate) async fn list(
    client: Object,
    after: Option<ExchangeId>,
    limit: usize,
) -> Result<Vec<OpenExchange>, Fault> {
    const DOING: &str = "list open exchanges";
    let after = after.map_or(Uuid::nil(), uuid);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = "SELECT id, gateway, sequence FROM open_exchange WHERE id > $1 ORDER BY id LIMIT $2";
    let rows = client.query(sql, &[&after, &limit]).await.doing(DOING)?;
    let open = |row: &tokio_postgres::Row| {
        Ok(OpenExchange { id: id_of(row.get(0))?, gateway: row.get(1), sequence: unsigned(row.get(2)) })
    };
    rows.iter().map(open).collect()
}

pub(crate) async fn oldest_sequence(client: Object) -> Result<Option<Sequence>, Fault> {
    let sql = "SELECT min(sequence) FROM open_exchange";
    let row = client.query_one(sql, &[]).await.doing("find the oldest open exchange")?;
    Ok(row.get::<_, Option<i64>>(0).map(unsigned))
}
