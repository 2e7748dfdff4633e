//! Where Meilisearch is and how it is used.

use std::fmt;
use std::time::Duration;

use url::Url;

/// The key that Meilisearch asks for. It is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key, if there is one: servers without a master key ask for none.
    pub(crate) fn secret(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }
}

impl From<String> for ApiKey {
    fn from(key: String) -> Self {
        Self(key)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "ApiKey(none)" } else { "ApiKey(hidden)" })
    }
}

/// Where Meilisearch is and how it is used. [`Config::new`] has the defaults.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens, without user and password.
    url: Url,
    /// The index's name. A rebuild fills a second one beside it, `<name>-next`.
    index: String,
    /// The key that it asks for; empty where it asks for none.
    pub api_key: ApiKey,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for one answer.
    pub request_timeout: Duration,
    /// The longest wait for a task (a batch of documents, a change of settings) to be done.
    pub task_timeout: Duration,
    /// Documents in one task, at most. Of the time that Meilisearch takes for a task much is the same for few and for many.
    pub batch_documents: usize,
    /// Bytes of JSON in one task; a larger document is a task of its own. Below Meilisearch's own limit of 100 MB.
    pub batch_bytes: usize,
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// The address can't be used.
    #[error("expected the address of Meilisearch, such as http://127.0.0.1:7700, got {0}")]
    Url(String),
    /// The name can't be an index's.
    #[error("expected the name of an index (letters, digits, - and _, at most 100), got {0:?}")]
    Index(String),
}

impl Config {
    /// The name of the index unless another is given.
    pub const INDEX: &str = "verbatim";

    /// How to reach Meilisearch at `url`, with the index named [`Config::INDEX`].
    ///
    /// # Errors
    /// [`InvalidConfig::Url`] where `url` is not the address of an HTTP server, or holds a user, password or query.
    pub fn new(url: &str, api_key: impl Into<ApiKey>) -> Result<Self, InvalidConfig> {
        Ok(Self {
            url: parsed(url).map_err(InvalidConfig::Url)?,
            index: Self::INDEX.to_owned(),
            api_key: api_key.into(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            task_timeout: Duration::from_secs(300),
            batch_documents: 10_000,
            batch_bytes: 32 << 20,
        })
    }

    /// With an index of this name, so that several installations can share a server.
    ///
    /// # Errors
    /// [`InvalidConfig::Index`] where no index can have it.
    pub fn with_index(self, name: &str) -> Result<Self, InvalidConfig> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || name.len() > 100 || !name.bytes().all(fits) {
            return Err(InvalidConfig::Index(name.chars().take(120).collect()));
        }
        Ok(Self { index: name.to_owned(), ..self })
    }

    /// The index's name.
    pub fn index(&self) -> &str {
        &self.index
    }

    /// The address, to be shown and called: without a slash at its end.
    pub fn address(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }
}

fn parsed(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("something else ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("a URL with the scheme {}", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("one with a user or a password: the key is set apart, as api_key".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("one with a query".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_never_shown() {
        let config = Config::new("http://localhost:7700/", "s3cret".to_owned()).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
        assert_eq!(config.address(), "http://localhost:7700");
        assert_eq!(config.api_key.secret(), Some("s3cret"));
        assert_eq!(ApiKey::default().secret(), None);
    }

    #[test]
    fn addresses_that_cant_be_meant_are_refused_without_their_secrets() {
        for url in ["", "localhost:7700", "ftp://host", "http://user:s3cret@host", "http://host/?key=s3cret"]
        {
            let error = Config::new(url, String::new()).unwrap_err().to_string();
            assert!(error.contains("http://127.0.0.1:7700") && !error.contains("s3cret"), "{url}: {error}");
        }
        assert!(Config::new("https://search.example.com/meili", String::new()).is_ok());
    }

    #[test]
    fn names_that_no_index_can_have_are_refused() {
        let config = Config::new("http://localhost:7700", String::new()).unwrap();
        assert_eq!(config.index(), Config::INDEX);
        for name in ["", "a b", "a/b", "größe", &"x".repeat(101)] {
            assert!(config.clone().with_index(name).is_err(), "{name}");
        }
        assert_eq!(config.with_index("team-7_x").unwrap().index(), "team-7_x");
    }
}
