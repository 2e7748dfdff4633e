//! What a server says of itself.

use deadpool_postgres::Object;
use verbatim_core::ports::PortResult;

use crate::PostgresArchive;
use crate::error::Doing;

/// A server, as far as it matters to whoever runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its version, such as `15.14`.
    pub version: String,
    /// Whether what is committed reaches the disk (`fsync`, `full_page_writes`); without, a crash of its machine may
    /// lose or damage it.
    pub is_durable: bool,
    /// Sessions that it lets in, at most.
    pub max_connections: u32,
    /// Sessions that there are.
    pub connections: u32,
}

impl PostgresArchive {
    /// What the server says of itself.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn server(&self) -> PortResult<Server> {
        let sql = "SELECT current_setting('server_version'), \
                   current_setting('fsync')::boolean AND current_setting('full_page_writes')::boolean, \
                   current_setting('max_connections')::integer, \
                   (SELECT count(*)::integer FROM pg_stat_activity WHERE backend_type = 'client backend')";
        let ask = async |client: Object| {
            let row = client.query_one(sql, &[]).await.doing("ask what the server says of itself")?;
            Ok(Server {
                version: row.get(0),
                is_durable: row.get(1),
                max_connections: row.get::<_, i32>(2).unsigned_abs(),
                connections: row.get::<_, i32>(3).unsigned_abs(),
            })
        };
        Ok(self.engine.database.reads.run(ask).await?)
    }
}
