//! The schema: brought up to date by `migrate` alone, and checked by whoever connects.

use deadpool_postgres::Object;
use refinery::Runner;
use tokio_postgres::Client;
use verbatim_core::ports::PortResult;

use crate::config::PostgresConfig;
use crate::error::{Doing, Fault};
use crate::locks;
use crate::pool::Database;

mod migrations {
    refinery::embed_migrations!("migrations");
}

/// The oldest server that will do, as `server_version_num` has it.
const OLDEST_SERVER: i32 = 150_000;

/// What `migrate` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The schema's version before; `None` for an empty database.
    pub from: Option<i32>,
    /// Its version now.
    pub to: i32,
}

/// Brings the schema up to what this program knows. Several may run at once: one does it, the others find it done.
///
/// # Errors
/// [`PortError::Transient`](verbatim_core::ports::PortError) where the database can't be reached;
/// [`PortError::Permanent`](verbatim_core::ports::PortError) where it refuses us, is too old, or has a newer schema.
pub async fn migrate(config: &PostgresConfig) -> PortResult<Migrated> {
    let database = Database::new(config)?;
    let done = database.upkeep.once(|client| apply(client, &database.address)).await;
    database.close();
    done.map_err(Fault::at_start)
}

async fn apply(client: Object, address: &str) -> Result<Migrated, Fault> {
    const DOING: &str = "bring the schema up to date";
    check_server(&client, address).await?;
    // A session of its own, which ends with this, and the lock with it.
    let mut client = Object::take(client);
    locks::take_for_session(&client, locks::SCHEMA).await?;
    let from = version(&client).await?;
    let to = known();
    if from > Some(to) {
        return Err(newer(address, from.unwrap_or_default()));
    }
    // Grouped: by itself refinery commits a migration and the note that it was applied apart, and a process that is
    // killed in between leaves a database that can't be brought up to date.
    let runner = Runner::new(migrations::migrations::runner().get_migrations()).set_grouped(true);
    let failed =
        |error: refinery::Error| Fault::permanent(format!("could not {DOING} of {address}: {error}"));
    runner.run_async(&mut *client).await.map_err(failed)?;
    Ok(Migrated { from, to })
}

/// Whether the database can be used as it is.
pub(crate) async fn check(client: &Object, address: &str) -> Result<(), Fault> {
    check_server(client, address).await?;
    let known = known();
    match version(client).await? {
        Some(found) if found == known => Ok(()),
        Some(found) if found > known => Err(newer(address, found)),
        found => {
            let found = found.map_or_else(|| "none".to_owned(), |found| found.to_string());
            Err(Fault::permanent(format!(
                "the archive in PostgreSQL at {address} has schema {found}, this program needs {known}: run \
                 `verbatim migrate` first"
            )))
        }
    }
}

async fn check_server(client: &Client, address: &str) -> Result<(), Fault> {
    let sql = "SELECT current_setting('server_version_num')::integer, current_setting('server_version'), \
               current_setting('server_encoding')";
    let row = client.query_one(sql, &[]).await.doing("ask for the server's version")?;
    let (number, version, encoding): (i32, &str, &str) = (row.get(0), row.get(1), row.get(2));
    if number < OLDEST_SERVER {
        return Err(Fault::permanent(format!(
            "PostgreSQL at {address} is version {version}, but 15 or newer is needed: upgrade the server"
        )));
    }
    if encoding != "UTF8" {
        return Err(Fault::permanent(format!(
            "the database at {address} has encoding {encoding}, but UTF8 is needed: create it with \
             `createdb --encoding=UTF8 --template=template0`"
        )));
    }
    Ok(())
}

fn newer(address: &str, found: i32) -> Fault {
    Fault::permanent(format!(
        "the archive in PostgreSQL at {address} has schema {found}, which is newer than the {} that this program knows: \
         run the version of Verbatim that migrated it, or a later one",
        known()
    ))
}

/// The version that this program knows.
fn known() -> i32 {
    migrations::migrations::runner()
        .get_migrations()
        .iter()
        .map(refinery::Migration::version)
        .max()
        .unwrap_or(0)
}

async fn version(client: &Client) -> Result<Option<i32>, Fault> {
    const DOING: &str = "read the schema's version";
    let there = client
        .query_one("SELECT to_regclass('refinery_schema_history') IS NOT NULL", &[])
        .await
        .doing(DOING)?;
    if !there.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = client.query_one("SELECT max(version) FROM refinery_schema_history", &[]).await.doing(DOING)?;
    Ok(row.get(0))
}
