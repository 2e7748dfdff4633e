//! Secrets that are still what an example says: everybody knows them.

use super::values::{EngineUrl, Secret};
use super::{Config, Invalid};

/// How the secrets in the examples of `deploy/` begin.
const PLACEHOLDER: &str = "CHANGE";
const EXPECTED: &str = "a secret of your own: this one is the example's, which everybody knows";

/// Whether this is an example's.
pub(super) fn is_placeholder(secret: &[u8]) -> bool {
    secret.starts_with(PLACEHOLDER.as_bytes())
}

impl Config {
    /// Refuses secrets that nobody has changed.
    pub(super) fn check_placeholders(&self) -> Result<(), Invalid> {
        let settings = &self.settings;
        let secrets = [
            ("secret", &settings.secret),
            ("web.password", &settings.web.password),
            ("nats.password", &settings.nats.password),
            ("nats.token", &settings.nats.token),
            ("nats.nkey", &settings.nats.nkey),
            ("meilisearch.api_key", &settings.meilisearch.api_key),
        ];
        let urls = [
            ("nats.url", &settings.nats.url),
            ("postgres.url", &settings.postgres.url),
            ("meilisearch.url", &settings.meilisearch.url),
        ];
        let in_url = |url: &EngineUrl| {
            [":", "password="].iter().any(|before| url.reveal().contains(&format!("{before}{PLACEHOLDER}")))
        };
        let unchanged = secrets.iter().filter(|(_, secret)| is_placeholder(secret.reveal().as_bytes()));
        let urls = urls.iter().filter(|(_, url)| url.as_ref().is_some_and(in_url));
        match unchanged.map(|(key, _)| *key).chain(urls.map(|(key, _)| *key)).next() {
            Some(key) => Err(self.unchanged(key)),
            None => Ok(()),
        }
    }

    /// A secret that nobody has changed.
    pub(super) fn unchanged(&self, key: &str) -> Invalid {
        self.invalid(key, Secret::MASK, EXPECTED)
    }
}
