//! What every process has to know at once: logins that were ended before their time.

use async_trait::async_trait;
use verbatim_core::model::Timestamp;
use verbatim_core::ports::{Control, Logout, PortResult};
use verbatim_sqlite::Doing;

use crate::SqliteArchive;

#[async_trait]
impl Control for SqliteArchive {
    async fn log_out(&self, logout: Logout, now: Timestamp) -> PortResult<()> {
        const DOING: &str = "note a logout";
        let (number, until, now) = (logout.number, logout.until.as_unix_us(), now.as_unix_us());
        let writer = &self.engine.records.writer;
        let note = writer.run(move |connection| {
            connection.execute("DELETE FROM logout WHERE until_us <= ?1", [now]).doing(DOING)?;
            let sql = "INSERT OR IGNORE INTO logout (number, until_us) VALUES (?1, ?2)";
            connection.execute(sql, [number, until]).doing(DOING)?;
            Ok(())
        });
        note.await
    }

    async fn is_logged_out(&self, number: i64) -> PortResult<bool> {
        let ask = self.engine.records.readers.run(move |connection| {
            let sql = "SELECT 1 FROM logout WHERE number = ?1";
            connection
                .prepare_cached(sql)
                .and_then(|mut select| select.exists([number]))
                .doing("look for a logout")
        });
        ask.await
    }
}
