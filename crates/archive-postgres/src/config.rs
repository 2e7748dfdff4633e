//! What the archive on PostgreSQL has to be told.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use verbatim_core::ports::{PortError, PortResult};

/// How to reach the database, and how to use it. The password is in `url`: neither shown nor logged.
#[derive(Clone)]
pub struct PostgresConfig {
    /// Such as `postgres://verbatim:password@db.internal:5432/verbatim`; `sslmode=require` in it asks for TLS.
    pub url: String,
    /// TLS.
    pub tls: TlsConfig,
    /// Connections for reading, at most, and as many for writing; two more see to upkeep. They are opened when needed.
    pub pool_size: usize,
    /// How long a statement that reads may take.
    pub read_timeout: Duration,
    /// How long a statement that writes may take.
    pub write_timeout: Duration,
    /// How long connecting to one address may take.
    pub connect_timeout: Duration,
    /// How long a start waits for a database that can't be reached yet.
    pub patience: Duration,
    /// How often sums are folded and partitions made ahead. Whoever is there does it, one process at a time.
    pub upkeep_every: Duration,
    /// How long changes are noted for an indexer that is not there.
    pub outbox_patience: Duration,
}

impl PostgresConfig {
    /// Defaults for everything but the URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            tls: TlsConfig::default(),
            pool_size: 8,
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            patience: Duration::from_secs(30),
            upkeep_every: Duration::from_secs(10),
            outbox_patience: Duration::from_secs(24 * 60 * 60),
        }
    }

    /// Whether the URL can be used; opens nothing.
    ///
    /// # Errors
    /// Permanent where it can't; the message does not repeat it.
    pub fn validate(&self) -> PortResult<()> {
        self.parsed().map(drop)
    }

    /// The parsed URL.
    ///
    /// # Errors
    /// Permanent where it is none; the message does not repeat it.
    pub(crate) fn parsed(&self) -> PortResult<tokio_postgres::Config> {
        let parsed: tokio_postgres::Config = self.url.parse().map_err(|error: tokio_postgres::Error| {
            let why = crate::error::describe(&error);
            let expected = "expected something like postgres://user:password@host:5432/database";
            PortError::Permanent(format!("the URL of PostgreSQL can't be read ({why}): {expected}"))
        })?;
        // Connections are opened with TLS or without, and none is tried both ways: who writes this gets none.
        if self.url.contains("sslmode=prefer") && !self.tls.is_wanted(parsed.get_ssl_mode()) {
            let why = "the URL of PostgreSQL says sslmode=prefer, which would do without TLS here: write \
                       sslmode=require, or sslmode=disable";
            return Err(PortError::Permanent(why.to_owned()));
        }
        if parsed.get_hosts().is_empty() {
            let why =
                "the URL of PostgreSQL names no host: expected something like postgres://user@host/database";
            return Err(PortError::Permanent(why.to_owned()));
        }
        Ok(parsed)
    }

    /// Where the database is, for people: without user and password.
    pub fn address(&self) -> String {
        match self.parsed() {
            Ok(parsed) => address(&parsed),
            Err(_) => "an address that can't be read".to_owned(),
        }
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("address", &self.address())
            .field("tls", &self.tls)
            .field("pool_size", &self.pool_size)
            .field("read_timeout", &self.read_timeout)
            .field("write_timeout", &self.write_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("patience", &self.patience)
            .field("upkeep_every", &self.upkeep_every)
            .field("outbox_patience", &self.outbox_patience)
            .finish()
    }
}

/// Hosts with ports, and the database.
pub(crate) fn address(config: &tokio_postgres::Config) -> String {
    let ports = config.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let hosts = config.get_hosts().iter().enumerate().map(|(at, host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(at)),
        Host::Unix(path) => path.display().to_string(),
    });
    let hosts: Vec<String> = hosts.collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{}/{database}", hosts.join(","))
}

/// Encryption, which is asked for by `sslmode=require` in the URL, or by either certificate here. A server's certificate
/// is always verified, its name included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// PEM file with the authorities that may have signed the server's certificate; those of the system otherwise.
    pub ca_file: Option<PathBuf>,
    /// PEM file with the certificate that proves who we are, and those between it and its authority.
    pub client_cert: Option<PathBuf>,
    /// PEM file with that certificate's key.
    pub client_key: Option<PathBuf>,
}

impl TlsConfig {
    pub(crate) fn is_wanted(&self, url: SslMode) -> bool {
        url == SslMode::Require || self.ca_file.is_some() || self.client_cert.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_that_is_only_preferred_is_refused_instead_of_left_out() {
        let with = |url: &str, tls| PostgresConfig { tls, ..PostgresConfig::new(url) }.validate();
        let prefer = "postgres://ann@db/records?sslmode=prefer";
        let error = with(prefer, TlsConfig::default()).unwrap_err().to_string();
        assert!(error.contains("sslmode=require"), "{error}");
        for url in ["postgres://ann@db/records?sslmode=require", "postgres://ann@db/records?sslmode=disable"]
        {
            assert!(with(url, TlsConfig::default()).is_ok(), "{url}");
        }
        let ca = TlsConfig { ca_file: Some("ca.pem".into()), ..TlsConfig::default() };
        assert!(with(prefer, ca).is_ok(), "the authority asks for TLS");
    }

    #[test]
    fn nothing_that_is_shown_has_user_or_password() {
        let config = PostgresConfig::new("postgres://ann:s3cret@db.internal:6432,other/records");
        assert_eq!(config.address(), "db.internal:6432,other:5432/records");
        for text in [format!("{config:?}"), config.address()] {
            assert!(!text.contains("s3cret") && !text.contains("ann"), "{text}");
        }
        for url in ["postgres://ann:s3cret@db:port/x", "postgres://ann:s3cret@", "s3cret"] {
            let error = PostgresConfig::new(url).parsed().unwrap_err().to_string();
            assert!(!error.contains("s3cret") && error.contains("expected"), "{error}");
        }
    }
}
