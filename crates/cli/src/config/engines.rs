//! The engines that are configured, as their adapters want to be told, and what all processes must agree on.

use std::path::PathBuf;
use std::time::Duration;

use verbatim_archive_postgres::{PostgresConfig, TlsConfig};
use verbatim_log_nats as nats;
use verbatim_search_meilisearch as meilisearch;

use super::placeholders::is_placeholder;
use super::values::{EngineUrl, Secret};
use super::{Config, Invalid};

/// The shortest secret, in bytes; one of this length is the key itself.
const KEY: usize = 32;
/// What a key is derived for from a longer secret.
const DERIVED_FOR: &str = "verbatim secret 1";

/// What a role needs that stands nowhere, said as it is when a required setting is missing.
const NATS_URL: &str = "where NATS is, such as \"nats://127.0.0.1:4222\" (VERBATIM_NATS__URL)";
const POSTGRES_URL: &str =
    "where PostgreSQL is, such as \"postgres://verbatim@127.0.0.1/verbatim\" (VERBATIM_POSTGRES__URL)";
const SECRET: &str = "text of at least 32 characters, the same for all gateways and web, such as `openssl rand -hex 32` \
                      makes (VERBATIM_SECRET), or a file that holds it (secret_file)";

impl Config {
    /// NATS, where it is to keep the capture log.
    pub(crate) fn nats(&self) -> Result<Option<nats::Config>, Invalid> {
        let settings = &self.settings.nats;
        let Some(url) = &settings.url else { return Ok(None) };
        let mut config = nats::Config::new([url.reveal()]);
        config.credentials = self.nats_credentials()?;
        config.tls = nats::Tls {
            // Whoever names an authority, or a certificate to show, does not mean a server that asks for neither.
            required: settings.ca_file.is_some() || settings.client_cert.is_some(),
            ca: settings.ca_file.as_ref().map(PathBuf::from),
            client: match (&settings.client_cert, &settings.client_key) {
                (Some(certificate), Some(key)) => {
                    Some(nats::ClientCertificate { certificate: certificate.into(), key: key.into() })
                }
                (None, None) => None,
                _ => return Err(self.half_a_certificate("nats")),
            },
        };
        config.replicas =
            u8::try_from(settings.replicas).ok().filter(|count| (1..=5).contains(count)).ok_or_else(
                || self.invalid("nats.replicas", settings.replicas.to_string(), "a number from 1 to 5"),
            )?;
        config.acknowledgement_wait = self.acknowledgement_wait()?;
        config.max_bytes = self.settings.capture_log.max_bytes.0;
        config.validate().map_err(|error| self.unusable("nats", url, &error.to_string()))?;
        Ok(Some(config))
    }

    fn acknowledgement_wait(&self) -> Result<Duration, Invalid> {
        let wait = self.settings.nats.acknowledgement_wait.0;
        let is_fit = (Duration::from_secs(5)..=Duration::from_secs(600)).contains(&wait);
        let expected = "a time from \"5s\" to \"10m\"";
        is_fit
            .then_some(wait)
            .ok_or_else(|| self.invalid("nats.acknowledgement_wait", format!("\"{wait:?}\""), expected))
    }

    fn nats_credentials(&self) -> Result<nats::Credentials, Invalid> {
        let settings = &self.settings.nats;
        let secret = |secret: &Secret| nats::Secret::new(secret.reveal());
        let mut ways = Vec::new();
        if !settings.user.is_empty() || !settings.password.is_empty() {
            let (user, password) = (settings.user.clone(), secret(&settings.password));
            ways.push(("password", nats::Credentials::Password { user, password }));
        }
        if !settings.token.is_empty() {
            ways.push(("token", nats::Credentials::Token(secret(&settings.token))));
        }
        if !settings.nkey.is_empty() {
            ways.push(("nkey", nats::Credentials::Nkey(secret(&settings.nkey))));
        }
        if let Some(file) = &settings.credentials_file {
            ways.push(("credentials_file", nats::Credentials::File(file.into())));
        }
        match ways.len() {
            0 | 1 => Ok(ways.pop().map_or(nats::Credentials::Anonymous, |(_, credentials)| credentials)),
            _ => {
                let (name, _) = ways[1];
                let expected =
                    "one of: user and password, token, nkey, credentials_file; another one is set, too";
                Err(self.invalid(&format!("nats.{name}"), Secret::MASK, expected))
            }
        }
    }

    /// PostgreSQL, where it is to keep the archive.
    pub(crate) fn postgres(&self) -> Result<Option<PostgresConfig>, Invalid> {
        let settings = &self.settings.postgres;
        let Some(url) = &settings.url else { return Ok(None) };
        let path = |file: &Option<String>| file.as_ref().map(PathBuf::from);
        if settings.client_cert.is_some() != settings.client_key.is_some() {
            return Err(self.half_a_certificate("postgres"));
        }
        if settings.pool_size == 0 {
            return Err(self.invalid("postgres.pool_size", "0", "a number above zero"));
        }
        let mut config = PostgresConfig::new(url.reveal());
        config.tls = TlsConfig {
            ca_file: path(&settings.ca_file),
            client_cert: path(&settings.client_cert),
            client_key: path(&settings.client_key),
        };
        config.pool_size = settings.pool_size.into();
        config.validate().map_err(|error| self.unusable("postgres", url, &error.to_string()))?;
        Ok(Some(config))
    }

    /// Meilisearch, where it is to serve word search.
    pub(crate) fn meilisearch(&self) -> Result<Option<meilisearch::Config>, Invalid> {
        let settings = &self.settings.meilisearch;
        let Some(url) = &settings.url else { return Ok(None) };
        let config = meilisearch::Config::new(url.reveal(), settings.api_key.reveal().to_owned())
            .map_err(|error| self.unusable("meilisearch", url, &error.to_string()))?;
        config.with_index(&settings.index).map(Some).map_err(|_| {
            let expected = "the name of an index: letters, digits, - and _, at most 100";
            self.invalid("meilisearch.index", format!("{:?}", settings.index), expected)
        })
    }

    /// NATS for a role that can't do without.
    pub(crate) fn required_nats(&self) -> Result<nats::Config, Invalid> {
        self.nats()?.ok_or_else(|| self.missing("nats.url", NATS_URL))
    }

    /// PostgreSQL for a role that can't do without.
    pub(crate) fn required_postgres(&self) -> Result<PostgresConfig, Invalid> {
        self.postgres()?.ok_or_else(|| self.missing("postgres.url", POSTGRES_URL))
    }

    /// The secret that keys hashes of credentials, if the settings say one; it is read from its file where one is named.
    /// A file of 32 bytes is taken as it is: a data directory's own can be shared.
    pub(crate) fn secret(&self) -> Result<Option<[u8; KEY]>, Invalid> {
        let settings = &self.settings;
        let (key, secret) = match &settings.secret_file {
            None if settings.secret.is_empty() => return Ok(None),
            None => ("secret", settings.secret.reveal().as_bytes().to_vec()),
            Some(_) if !settings.secret.is_empty() => {
                let expected = "secret or secret_file, not both";
                return Err(self.invalid("secret_file", Secret::MASK, expected));
            }
            Some(file) => {
                let read = std::fs::read(file).map_err(|error| {
                    let expected = format!("a file that can be read ({error})");
                    self.invalid("secret_file", format!("{file:?}"), expected)
                })?;
                ("secret_file", read)
            }
        };
        if is_placeholder(&secret) {
            return Err(self.unchanged(key));
        }
        if let Ok(key) = <[u8; KEY]>::try_from(secret.as_slice()) {
            return Ok(Some(key));
        }
        let text = secret.trim_ascii();
        match <[u8; KEY]>::try_from(text) {
            Ok(key) => Ok(Some(key)),
            Err(_) if text.len() > KEY => Ok(Some(blake3::derive_key(DERIVED_FOR, text))),
            Err(_) => Err(self.invalid(key, Secret::MASK, "at least 32 characters")),
        }
    }

    /// The secret for a role whose data directory is not the only one.
    pub(crate) fn required_secret(&self) -> Result<[u8; KEY], Invalid> {
        self.secret()?.ok_or_else(|| self.missing("secret", SECRET))
    }

    /// Refuses engines with which one process can't do all: with NATS or Meilisearch, the archive is on PostgreSQL.
    pub(crate) fn check_engines_of_one_process(&self) -> Result<(), Invalid> {
        let settings = &self.settings;
        let without_archive = [("nats", &settings.nats.url), ("meilisearch", &settings.meilisearch.url)];
        match without_archive.into_iter().find_map(|(name, url)| Some((name, url.as_ref()?))) {
            Some((name, url)) if settings.postgres.url.is_none() => {
                let expected = "[postgres] url beside it: what one process does is kept in SQLite files, in \
                                PostgreSQL, or with NATS, Meilisearch or both beside PostgreSQL";
                Err(self.invalid(&format!("{name}.url"), format!("\"{url}\""), expected))
            }
            _ => Ok(()),
        }
    }

    fn missing(&self, key: &str, expected: &'static str) -> Invalid {
        Invalid::Missing { key: key.to_owned(), origin: self.origin(key), expected }
    }

    fn half_a_certificate(&self, engine: &str) -> Invalid {
        let expected = "client_cert and client_key together";
        self.invalid(&format!("{engine}.client_cert"), "one of the two", expected)
    }

    /// `why` is the adapter's, which keeps secrets to itself.
    fn unusable(&self, engine: &str, url: &EngineUrl, why: &str) -> Invalid {
        let expected = format!("an address that can be used: {why}");
        self.invalid(&format!("{engine}.url"), format!("\"{url}\""), expected)
    }
}
