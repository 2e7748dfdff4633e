//! Advisory locks, by which processes that share the database keep out of each other's way.
//!
//! Order, for those who take more than one: [`OUTBOX`], [`FOLD`], then weeks rising. Whoever writes records holds the lock of each
//! of their weeks shared, so whoever takes it alone knows that nobody is about to refer to what it deletes.

use tokio_postgres::Client;

use crate::error::{Doing, Fault};

/// The first number of our locks; the second says of what. Others may use the same database.
const CLASS: i32 = 0x7662_6174;

/// A lock there is one of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lock(i32);

/// Bringing the schema up to date.
pub(crate) const SCHEMA: Lock = Lock(1);
/// Making and dropping partitions.
pub(crate) const PARTITIONS: Lock = Lock(2);
/// Folding changes into sums and totals.
pub(crate) const FOLD: Lock = Lock(3);
/// Claiming from the outbox.
pub(crate) const CLAIM: Lock = Lock(4);
/// Refilling the outbox.
pub(crate) const REFILL: Lock = Lock(5);
/// Deleting what is past its time.
pub(crate) const RETENTION: Lock = Lock(6);
/// Beginning to keep the outbox; whoever commits holds it shared.
pub(crate) const OUTBOX: Lock = Lock(7);

/// The first number of the locks of weeks; the second is the week.
pub(crate) const WEEKS: i32 = 0x7662_776b;
/// The first number of the locks that live claimants hold; the second is the claimant.
pub(crate) const CLAIMANTS: i32 = 0x7662_636c;

/// Waits for a lock, and holds it until the transaction ends.
pub(crate) async fn take(client: &Client, lock: Lock) -> Result<(), Fault> {
    let sql = "SELECT pg_advisory_xact_lock($1, $2)";
    client.execute(sql, &[&CLASS, &lock.0]).await.doing("wait for other processes")?;
    Ok(())
}

/// Waits for a lock that others may hold, too, and holds it until the transaction ends.
pub(crate) async fn take_shared(client: &Client, lock: Lock) -> Result<(), Fault> {
    let sql = "SELECT pg_advisory_xact_lock_shared($1, $2)";
    client.execute(sql, &[&CLASS, &lock.0]).await.doing("wait for other processes")?;
    Ok(())
}

/// Waits for locks that others may hold, too, and holds them until the transaction ends.
pub(crate) const TAKE_SHARED: &str = "SELECT pg_advisory_xact_lock_shared(class, number) \
                                      FROM unnest($1::integer[], $2::integer[]) AS locks (class, number)";

/// What whoever writes to these weeks gives [`TAKE_SHARED`].
pub(crate) fn to_write(weeks: &[i32]) -> (Vec<i32>, Vec<i32>) {
    let of_weeks = weeks.iter().map(|&week| (WEEKS, week));
    [(CLASS, OUTBOX.0)].into_iter().chain(of_weeks).unzip()
}

/// Takes a lock until the transaction ends, if nobody has it.
pub(crate) async fn try_to_take(client: &Client, lock: Lock) -> Result<bool, Fault> {
    let sql = "SELECT pg_try_advisory_xact_lock($1, $2)";
    let row = client.query_one(sql, &[&CLASS, &lock.0]).await.doing("look for other processes")?;
    Ok(row.get(0))
}

/// Waits for a lock, and holds it until the session ends.
pub(crate) async fn take_for_session(client: &Client, lock: Lock) -> Result<(), Fault> {
    let sql = "SELECT pg_advisory_lock($1, $2)";
    client.execute(sql, &[&CLASS, &lock.0]).await.doing("wait for other processes")?;
    Ok(())
}

/// Takes a lock until the session ends, if nobody has it.
pub(crate) async fn try_to_take_for_session(client: &Client, lock: Lock) -> Result<bool, Fault> {
    let sql = "SELECT pg_try_advisory_lock($1, $2)";
    let row = client.query_one(sql, &[&CLASS, &lock.0]).await.doing("look for other processes")?;
    Ok(row.get(0))
}

/// Waits until nobody writes to these weeks, and keeps all from doing so until the transaction ends.
pub(crate) async fn take_weeks(client: &Client, weeks: &[i32]) -> Result<(), Fault> {
    let mut weeks = weeks.to_vec();
    weeks.sort_unstable();
    weeks.dedup();
    let sql = "SELECT pg_advisory_xact_lock($1, week) FROM unnest($2::integer[]) AS week";
    client.query(sql, &[&WEEKS, &weeks]).await.doing("wait for those who write")?;
    Ok(())
}
