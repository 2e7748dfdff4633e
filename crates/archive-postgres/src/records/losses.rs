//! Records whose bodies retention deleted, to be indexed again without them.
//!
//! That a bucket's bodies are gone is noted in the transaction that deletes them; entries of the outbox are made of that
//! by whoever claims and has nothing else to do, a stretch of ids at a time.

use tokio_postgres::Client;
use uuid::Uuid;

use crate::day;
use crate::error::{Doing, Fault};
use crate::tombstone::bucket_of;

/// Records looked at in one go.
const SEEN_AT_ONCE: i64 = 20_000;

/// Notes all buckets below one. Part of the transaction that deletes their bodies.
pub(crate) async fn note(client: &Client, below: i64) -> Result<(), Fault> {
    let sql =
        "INSERT INTO body_loss (bucket) SELECT bucket FROM bucket WHERE bucket < $1 ON CONFLICT DO NOTHING";
    client.execute(sql, &[&below]).await.doing("note which bodies go")?;
    Ok(())
}

/// Forgets those noted so far: every record is indexed again anyway.
pub(crate) async fn clear(client: &Client) -> Result<(), Fault> {
    client.execute("DELETE FROM body_loss", &[]).await.doing("forget which bodies went")?;
    Ok(())
}

/// Makes entries for the next records that lost their bodies; gives how many. One at a time, in a transaction.
pub(crate) async fn next(client: &Client) -> Result<u64, Fault> {
    const DOING: &str = "note records whose bodies were deleted";
    loop {
        let sql = "SELECT bucket, after FROM body_loss ORDER BY bucket LIMIT 1";
        let Some(row) = client.query_opt(sql, &[]).await.doing(DOING)? else { return Ok(0) };
        let (number, after): (i64, Uuid) = (row.get(0), row.get(1));
        let bucket = bucket_of(number);
        // As values, so that only these days' partitions are opened.
        let begin = after.max(day::bound(bucket.begin()));
        let sql = include_str!("../../queries/note_losses.sql");
        let part = bucket.part.cast_signed();
        let row = client
            .query_one(sql, &[&begin, &day::bound(bucket.end()), &part, &SEEN_AT_ONCE])
            .await
            .doing(DOING)?;
        let (seen, last, made): (i64, Option<Uuid>, i64) = (row.get(0), row.get(1), row.get(2));
        match last.filter(|_| seen >= SEEN_AT_ONCE) {
            Some(last) => {
                let sql = "UPDATE body_loss SET after = $2 WHERE bucket = $1";
                client.execute(sql, &[&number, &last]).await.doing(DOING)?;
                return Ok(made.unsigned_abs());
            }
            None => {
                client.execute("DELETE FROM body_loss WHERE bucket = $1", &[&number]).await.doing(DOING)?;
                if made > 0 {
                    return Ok(made.unsigned_abs());
                }
            }
        }
    }
}
