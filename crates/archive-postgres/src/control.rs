//! What every process has to know at once: logins that were ended before their time.

use async_trait::async_trait;
use deadpool_postgres::Object;
use verbatim_core::model::Timestamp;
use verbatim_core::ports::{Control, Logout, PortResult};

use crate::PostgresArchive;
use crate::error::Doing;

#[async_trait]
impl Control for PostgresArchive {
    async fn log_out(&self, logout: Logout, now: Timestamp) -> PortResult<()> {
        const DOING: &str = "note a logout";
        let (number, until, now) = (logout.number, logout.until.as_unix_us(), now.as_unix_us());
        let note = async |client: Object| {
            client.execute("DELETE FROM logout WHERE until_us <= $1", &[&now]).await.doing(DOING)?;
            let sql = "INSERT INTO logout (number, until_us) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            client.execute(sql, &[&number, &until]).await.doing(DOING)
        };
        self.engine.database.writes.run(note).await?;
        Ok(())
    }

    async fn is_logged_out(&self, number: i64) -> PortResult<bool> {
        let sql = "SELECT EXISTS (SELECT FROM logout WHERE number = $1)";
        let ask = async |client: Object| {
            let statement = client.prepare_cached(sql).await.doing("look for a logout")?;
            let row = client.query_one(&statement, &[&number]).await.doing("look for a logout")?;
            Ok(row.get(0))
        };
        Ok(self.engine.database.reads.run(ask).await?)
    }
}
