//! Where PostgreSQL is.

use verbatim_archive_postgres::PostgresConfig;

use super::{Config, Invalid};

impl Config {
    /// PostgreSQL, where it is to keep the archive.
    pub(crate) fn postgres(&self) -> Result<Option<PostgresConfig>, Invalid> {
        Ok(self.settings.postgres.url.as_ref().map(|url| PostgresConfig::new(url.reveal())))
    }

    /// PostgreSQL for what can't do without.
    pub(crate) fn required_postgres(&self) -> Result<PostgresConfig, Invalid> {
        self.postgres()?.ok_or_else(|| {
            let expected =
                "where PostgreSQL is, such as \"postgres://verbatim@127.0.0.1/verbatim\" (VERBATIM_POSTGRES__URL)";
            Invalid::Missing { key: "postgres.url".to_owned(), origin: self.origin("postgres.url"), expected }
        })
    }
}
