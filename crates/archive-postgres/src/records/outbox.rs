//! Exchanges that the search index has yet to take.
//!
//! An entry that is handed out names its claimant, and a claimant is a session of the database that holds a lock on
//! its number. So a claim lasts as long as the claimant lives: when its process ends, however it ends, the server closes
//! the session and the lock goes with it; when its machine is cut off, the server notices by the connection's
//! keepalives within a minute. Nobody has to be asked, no deadline has to be guessed, and none has to be prolonged.

use std::ops::Range;
use std::sync::LazyLock;

use deadpool_postgres::{ClientWrapper, Object, Transaction};
use tokio::sync::Mutex;
use tokio_postgres::types::ToSql;
use verbatim_archive_format::text::clean;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::OutboxEntry;

use super::columns::id_of;
use super::{keeping, losses};
use crate::day::uuid;
use crate::error::{Doing, Fault};
use crate::locks;
use crate::pool::Connections;

/// Numbers from here on are of records just stored; those below are of a rebuild, which they do not wait for.
const LIVE: i64 = 1 << 40;
/// A rebuild writes so many entries in one transaction, so that what it locks is free again soon.
const REFILLED_AT_ONCE: i64 = 20_000;

static CLAIM: LazyLock<String> =
    LazyLock::new(|| keeping::of_living(include_str!("../../queries/claim_outbox.sql")));

/// The session by which this process claims.
#[derive(Default)]
pub(crate) struct Claimant {
    session: Mutex<Option<Session>>,
}

struct Session {
    client: ClientWrapper,
    number: i32,
}

impl Claimant {
    /// Has the outbox kept; gives whether entries are missing.
    pub(crate) async fn keep(&self, connections: &Connections) -> Result<bool, Fault> {
        let mut current = self.session.lock().await;
        let mut session = Session::go_on(&mut current, connections).await?;
        let incomplete = keeping::keep(&mut session.client).await?;
        *current = Some(session);
        Ok(incomplete)
    }

    /// The next entries that nobody has who lives.
    pub(crate) async fn claim(
        &self,
        connections: &Connections,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, Fault> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut current = self.session.lock().await;
        let mut session = Session::go_on(&mut current, connections).await?;
        let entries = session.claim(limit).await?;
        *current = Some(session);
        Ok(entries)
    }

    /// Ends the session: what it claimed is free.
    pub(crate) async fn end(&self) {
        if let Some(session) = self.session.lock().await.take() {
            // The server does the same by itself once it sees that the connection is closed, only later.
            let unlocked = session.client.batch_execute("SELECT pg_advisory_unlock_all()").await;
            if let Err(error) = unlocked {
                tracing::debug!(
                    error = crate::error::describe(&error),
                    "the claimant's session ended by itself"
                );
            }
        }
    }
}

impl Session {
    /// Takes the session that there is, or a new one. It is to be put back once its work is done: where that fails or is
    /// broken off, the session is dropped, and its claims with it.
    async fn go_on(current: &mut Option<Self>, connections: &Connections) -> Result<Self, Fault> {
        match current.take() {
            Some(session) if !session.client.is_closed() => Ok(session),
            // What the one before had claimed is free again: its lock is gone.
            _ => Self::begin(connections).await,
        }
    }

    async fn begin(connections: &Connections) -> Result<Self, Fault> {
        const DOING: &str = "begin to claim from the outbox";
        let client = Object::take(connections.get().await?);
        let row = client.query_one("SELECT nextval('outbox_claimant')::integer", &[]).await.doing(DOING)?;
        let number: i32 = row.get(0);
        let sql = "SELECT pg_advisory_lock($1, $2)";
        client.execute(sql, &[&locks::CLAIMANTS, &number]).await.doing(DOING)?;
        Ok(Self { client, number })
    }

    async fn claim(&mut self, limit: i64) -> Result<Vec<OutboxEntry>, Fault> {
        const DOING: &str = "claim from the outbox";
        let number = self.number;
        let transaction = self.client.transaction().await.doing(DOING)?;
        // One at a time: who lives is looked up after whoever claimed before has its lock.
        locks::take(transaction.client(), locks::CLAIM).await?;
        let mut rows = take(&transaction, LIVE..i64::MAX, limit, number).await?;
        let room = |rows: &Vec<_>| limit - i64::try_from(rows.len()).unwrap_or(i64::MAX);
        rows.extend(take(&transaction, 0..LIVE, room(&rows), number).await?);
        while room(&rows) > 0 && losses::next(transaction.client()).await? > 0 {
            rows.extend(take(&transaction, 0..LIVE, room(&rows), number).await?);
        }
        transaction.commit().await.doing(DOING)?;
        let entry = |(number, id, failures): Claimed| {
            let failures = u32::try_from(failures).unwrap_or(0);
            Ok(OutboxEntry { number: number.unsigned_abs(), id: id_of(id)?, failures })
        };
        rows.into_iter().map(entry).collect()
    }
}

type Claimed = (i64, uuid::Uuid, i32);

/// The first entries of a range that nobody has who lives, for a claimant.
async fn take(
    transaction: &Transaction<'_>,
    range: Range<i64>,
    limit: i64,
    claimant: i32,
) -> Result<Vec<Claimed>, Fault> {
    const DOING: &str = "claim from the outbox";
    if limit <= 0 {
        return Ok(Vec::new());
    }
    let statement = transaction.prepare_cached(&CLAIM).await.doing(DOING)?;
    let class = locks::CLAIMANTS.cast_unsigned();
    let values: [&(dyn ToSql + Sync); 5] = [&class, &range.start, &range.end, &limit, &claimant];
    let rows = transaction.query(&statement, &values).await.doing(DOING)?;
    let mut rows: Vec<Claimed> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    rows.sort_unstable();
    Ok(rows)
}

fn numbers(numbers: &[u64]) -> Vec<i64> {
    let mut numbers: Vec<i64> = numbers.iter().filter_map(|&number| i64::try_from(number).ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// Drops entries.
pub(crate) async fn settle(client: Object, settled: &[u64]) -> Result<(), Fault> {
    const DOING: &str = "settle the outbox";
    let sql = "DELETE FROM outbox WHERE number = ANY($1)";
    let statement = client.prepare_cached(sql).await.doing(DOING)?;
    client.execute(&statement, &[&numbers(settled)]).await.doing(DOING)?;
    Ok(())
}

/// Makes entries.
pub(crate) async fn note(client: Object, ids: &[ExchangeId]) -> Result<(), Fault> {
    let ids: Vec<_> = ids.iter().copied().map(uuid).collect();
    let sql = "INSERT INTO outbox (id) SELECT id FROM unnest($1::uuid[]) AS id";
    client.execute(sql, &[&ids]).await.doing("note exchanges for the index")?;
    Ok(())
}

/// Hands entries back; each has failed once more.
pub(crate) async fn release(client: Object, released: &[u64]) -> Result<(), Fault> {
    const DOING: &str = "hand entries of the outbox back";
    let sql = "UPDATE outbox SET claimant = NULL, failures = failures + 1 WHERE number = ANY($1)";
    client.execute(sql, &[&numbers(released)]).await.doing(DOING)?;
    Ok(())
}

/// Moves an entry to those that can't be indexed.
pub(crate) async fn set_aside(client: Object, number: u64, reason: &str) -> Result<(), Fault> {
    let Ok(number) = i64::try_from(number) else { return Ok(()) };
    let sql = "WITH gone AS (DELETE FROM outbox WHERE number = $1 RETURNING number, id)
               INSERT INTO outbox_failed (number, id, reason) SELECT number, id, $2 FROM gone
               ON CONFLICT (number) DO UPDATE SET reason = excluded.reason";
    client.execute(sql, &[&number, &clean(reason)]).await.doing("set an outbox entry aside")?;
    Ok(())
}

/// Makes an entry for every record, newest first.
pub(crate) async fn refill(client: Object) -> Result<u64, Fault> {
    const DOING: &str = "refill the outbox";
    // A session of its own, which ends with this, and the lock with it.
    let mut client = Object::take(client);
    locks::take_for_session(&client, locks::REFILL).await?;
    keeping::keep(&mut client).await?;
    losses::clear(&client).await?;
    // What an earlier rebuild left is made again, and what was set aside gets another chance. What is claimed stays: who
    // claimed it may be about to write what it has read long ago, and looks again because of the entry.
    let sql = "DELETE FROM outbox WHERE number < $1 AND claimant IS NULL";
    client.execute(sql, &[&LIVE]).await.doing(DOING)?;
    client.execute("DELETE FROM outbox_failed", &[]).await.doing(DOING)?;
    let mut below = uuid::Uuid::max();
    let mut made = 0;
    loop {
        let transaction = client.transaction().await.doing(DOING)?;
        let sql = include_str!("../../queries/refill_outbox.sql");
        let row = transaction.query_one(sql, &[&below, &REFILLED_AT_ONCE]).await.doing(DOING)?;
        transaction.commit().await.doing(DOING)?;
        made += row.get::<_, i64>(0).unsigned_abs();
        match row.get(1) {
            Some(last) => below = last,
            None => break,
        }
    }
    keeping::is_complete(&client).await?;
    Ok(made)
}
