//! How much there is, by day and part.

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;
use jiff::civil::Date;
use tokio_postgres::Client;
use verbatim_archive_format::text::unsigned;

use crate::error::{Doing, Fault};

/// How many records and bytes were added, less those taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) exchanges: i64,
    /// Records with bodies.
    pub(crate) bodies: i64,
    /// Bytes of their bodies, before blocks are shared.
    pub(crate) captured: i64,
}

/// What a transaction changes, by day and part.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    changes: BTreeMap<(Date, i32), Total>,
}

impl Totals {
    /// Adds (or with -1 takes away) a record with bodies of so many bytes.
    pub(crate) fn add(&mut self, day: Date, part: i32, captured: i64, sign: i64) {
        let total = self.changes.entry((day, part)).or_default();
        total.exchanges += sign;
        total.bodies += if captured > 0 { sign } else { 0 };
        total.captured = total.captured.saturating_add(captured.saturating_mul(sign));
    }

    /// Notes the change, to be folded in.
    pub(crate) async fn note(&self, transaction: &Transaction<'_>) -> Result<(), Fault> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let (mut days, mut parts) = (Vec::new(), Vec::new());
        let (mut exchanges, mut bodies, mut captured) = (Vec::new(), Vec::new(), Vec::new());
        for ((day, part), total) in &self.changes {
            days.push(*day);
            parts.push(*part);
            exchanges.push(total.exchanges);
            bodies.push(total.bodies);
            captured.push(total.captured);
        }
        let sql = "INSERT INTO total_delta (day, part, exchanges, bodies, captured) \
                   SELECT * FROM unnest($1::date[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[])";
        let statement = transaction.prepare_cached(sql).await.doing("note totals")?;
        transaction
            .execute(&statement, &[&days, &parts, &exchanges, &bodies, &captured])
            .await
            .doing("note totals")?;
        Ok(())
    }
}

/// Puts together what was noted. The caller holds the lock for folding.
pub(crate) async fn fold(client: &Client) -> Result<(), Fault> {
    client.execute(include_str!("../../queries/fold_totals.sql"), &[]).await.doing("fold totals")?;
    Ok(())
}

/// Records by day, oldest first, noted ones included.
pub(crate) async fn by_day(client: &Client) -> Result<Vec<(Date, u64)>, Fault> {
    let sql = "SELECT day, sum(exchanges)::bigint
               FROM (SELECT day, exchanges FROM total UNION ALL SELECT day, exchanges FROM total_delta) AS t
               GROUP BY day ORDER BY day";
    let rows = client.query(sql, &[]).await.doing("read totals")?;
    Ok(rows.iter().map(|row| (row.get(0), unsigned(row.get(1)))).collect())
}

/// Records altogether, and bytes of their bodies.
pub(crate) async fn all(client: &Client) -> Result<(u64, u64), Fault> {
    // `least` would pass over a sum of nothing, which is null.
    let sql = "SELECT coalesce(sum(exchanges), 0)::bigint, least(coalesce(sum(captured), 0), 9223372036854775807)::bigint
               FROM (SELECT exchanges, captured FROM total UNION ALL SELECT exchanges, captured FROM total_delta) AS t";
    let row = client.query_one(sql, &[]).await.doing("read totals")?;
    Ok((unsigned(row.get(0)), unsigned(row.get(1))))
}
