//! Whether the outbox is kept: an archive that no indexer reads makes no entries.
//!
//! Entries are made from the moment that somebody announces to take them, and no longer once nobody has lived who claims
//! for as long as `outbox_patience`: then what is there is dropped. Whoever comes back finds that entries are missing
//! until every record was given one.
//!
//! Whoever commits holds a lock shared from before it looks whether entries are kept until it has committed, and whoever
//! begins to keep them takes that lock alone: a record without an entry is there before records are walked to make up
//! for it.

use std::sync::LazyLock;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::Client;

use crate::error::{Doing, Fault};
use crate::locks;

/// Dropping entries waits so long for those who read them (a backup): the next round tries again.
const LONGEST_WAIT: &str = "SET LOCAL lock_timeout = '2s'";

static WATCH: LazyLock<String> = LazyLock::new(|| of_living(include_str!("../../queries/watch_outbox.sql")));
static DROP: LazyLock<String> = LazyLock::new(|| of_living(include_str!("../../queries/drop_outbox.sql")));

/// A query that asks which claimants live.
pub(crate) fn of_living(sql: &str) -> String {
    sql.replace("$living", include_str!("../../queries/living_claimants.sql").trim_end())
}

/// Has commits make entries. The caller is a claimant that lives. Gives whether earlier entries are missing.
pub(crate) async fn keep(client: &mut Client) -> Result<bool, Fault> {
    const DOING: &str = "have the outbox kept";
    let sql = "UPDATE outbox_state SET idle_since = NULL RETURNING kept, complete";
    let row = client.query_one(sql, &[]).await.doing(DOING)?;
    if !row.get::<_, bool>(0) {
        let transaction = client.transaction().await.doing(DOING)?;
        locks::take(transaction.client(), locks::OUTBOX).await?;
        transaction.execute("UPDATE outbox_state SET kept = true", &[]).await.doing(DOING)?;
        transaction.commit().await.doing(DOING)?;
        tracing::info!("changes are noted for the search index from now on");
    }
    Ok(!row.get::<_, bool>(1))
}

/// Every record has had an entry since entries are kept.
pub(crate) async fn is_complete(client: &Client) -> Result<(), Fault> {
    let sql = "UPDATE outbox_state SET complete = true WHERE kept";
    client.execute(sql, &[]).await.doing("say that the outbox is complete")?;
    Ok(())
}

/// Stops keeping entries that nobody has claimed for so long, and drops those that nobody will.
pub(crate) async fn watch(mut client: Object, patience: Duration) -> Result<(), Fault> {
    const DOING: &str = "watch the outbox";
    let patience = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX / 1_000);
    let class = locks::CLAIMANTS.cast_unsigned();
    let watch = client.prepare_cached(&WATCH).await.doing(DOING)?;
    let row = client.query_one(&watch, &[&class, &patience]).await.doing(DOING)?;
    let (mut kept, idle, filled): (bool, bool, bool) = (row.get(0), row.get(1), row.get(2));
    if kept && idle {
        let transaction = client.transaction().await.doing(DOING)?;
        // Who makes entries for every record will read them.
        if locks::try_to_take(transaction.client(), locks::REFILL).await?
            && transaction.execute(DROP.as_str(), &[&class, &patience]).await.doing(DOING)? > 0
        {
            kept = false;
            tracing::warn!(
                "no indexer was there for long: changes are no longer noted for it, and the next one builds its index \
                 from all records"
            );
        }
        transaction.commit().await.doing(DOING)?;
    }
    if !kept && filled {
        drop_entries(&mut client).await?;
    }
    Ok(())
}

/// Nobody begins to keep entries meanwhile.
async fn drop_entries(client: &mut Client) -> Result<(), Fault> {
    const DOING: &str = "drop what nobody reads of the outbox";
    let transaction = client.transaction().await.doing(DOING)?;
    locks::take_shared(transaction.client(), locks::OUTBOX).await?;
    let row = transaction.query_one("SELECT kept FROM outbox_state", &[]).await.doing(DOING)?;
    if !row.get::<_, bool>(0) {
        transaction.batch_execute(LONGEST_WAIT).await.doing(DOING)?;
        transaction.batch_execute("TRUNCATE outbox, outbox_failed").await.doing(DOING)?;
    }
    transaction.commit().await.doing(DOING)
}
