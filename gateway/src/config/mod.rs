//! What a gateway can be told, typed and checked before any socket opens.

mod base_url;
mod builtin;
mod limits;
mod network;
mod provider;
mod secret;

use std::fmt;
use std::net::SocketAddr;

pub use base_url::{BaseUrl, BaseUrlError};
pub use builtin::{Builtin, builtin_provider, builtin_providers};
pub use limits::{QueueLimits, SpoolLimits, Timeouts};
pub(crate) use network::is_local_name;
pub use provider::Provider;
pub use secret::Secret;
use verbatim_listen::{Limits, Network};

/// A key in a body that is hidden is at most so long.
const BODY_KEY: usize = 64;

/// So many bytes of a body are recorded by default.
pub const RECORDED_BODY: u64 = 256 << 20;
/// What a recorder that puts bodies together can be expected to hold.
const RECORDED_BODIES: std::ops::RangeInclusive<u64> = 1 << 20..=4 << 30;

/// What recording may cost a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CaptureMode {
    /// The call never waits for its recording.
    #[default]
    BestEffort,
    /// The call is forwarded once its start is durable, and its end reaches the caller once its record is.
    Required,
}

/// Which web pages may call the gateway from a browser.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cors {
    /// None: `OPTIONS` requests go to the provider like any other, and answers pass as they are.
    #[default]
    Off,
    /// Those of every origin.
    Any,
    /// Those of these origins, such as `https://app.example.com`.
    Origins(Vec<String>),
}

/// What is hidden from the record beyond what always is. What is forwarded never changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redaction {
    /// Names of headers, without regard to case.
    pub headers: Vec<String>,
    /// Names of query parameters.
    pub query: Vec<String>,
    /// Keys of JSON objects and form fields: at most 64 letters, digits, `_`, `-` and `.` each, compared as they are.
    pub body: Vec<String>,
}

impl Redaction {
    /// A key in a body is made of bytes that JSON spells in two ways only: as they are, and as `\u00..`.
    fn validate(&self) -> Result<(), ConfigError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let is_key = |key: &&String| (1..=BODY_KEY).contains(&key.len()) && key.bytes().all(is_plain);
        match self.body.iter().find(|key| !is_key(key)) {
            None => Ok(()),
            Some(key) => {
                let expected = format!("a key of at most {BODY_KEY} letters, digits, `_`, `-` and `.`");
                Err(ConfigError::new("redaction.body", key, expected))
            }
        }
    }
}

/// Everything a gateway can be told.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Names this gateway process in the capture log; a restarted gateway must have another name.
    pub gateway_id: String,
    /// Providers beside the built-in ones; one with a built-in name replaces that one.
    pub providers: Vec<Provider>,
    /// The name of the provider that gets what no other rule claims.
    pub default_provider: String,
    /// The one provider that gets every call, whatever its path.
    pub upstream: Option<Provider>,
    /// What recording may cost a call.
    pub capture: CaptureMode,
    /// Whether a caller's own credential is forwarded to the provider.
    pub allow_passthrough_keys: bool,
    /// Whether a provider's stored credential stands in where a caller sends none.
    pub default_key: bool,
    /// Which web pages may call.
    pub cors: Cors,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// How many connections callers may have, and how long one may be open without a call.
    pub connections: Limits,
    /// How much may wait to be recorded.
    pub queue: QueueLimits,
    /// Bytes of one body that are recorded at most. What passes beyond is counted and declared on the record: whoever
    /// assembles, reads or shows a body holds it in memory.
    pub max_recorded_body_bytes: u64,
    /// How much may be kept on disk while the capture log can't take it.
    pub spool: SpoolLimits,
    /// What is hidden from the record.
    pub redaction: Redaction,
    /// Keys the hashes that stand for credentials in records; the same for all gateways and web.
    pub hashing_secret: Secret<[u8; 32]>,
    /// Proxies in front of the gateway whose `x-forwarded-for` is believed.
    pub trusted_proxies: Vec<Network>,
    /// The name or address that it is reached by from outside: browsers that call by it are no strangers' pages.
    pub public_host: Option<String>,
}

impl GatewayConfig {
    /// A configuration with every default, listening on `listen`.
    pub fn new(listen: SocketAddr, gateway_id: impl Into<String>, hashing_secret: [u8; 32]) -> Self {
        Self {
            listen,
            gateway_id: gateway_id.into(),
            providers: Vec::new(),
            default_provider: "openai".to_owned(),
            upstream: None,
            capture: CaptureMode::default(),
            allow_passthrough_keys: true,
            default_key: false,
            cors: Cors::default(),
            timeouts: Timeouts::default(),
            connections: Limits::default(),
            queue: QueueLimits::default(),
            max_recorded_body_bytes: RECORDED_BODY,
            spool: SpoolLimits::default(),
            redaction: Redaction::default(),
            hashing_secret: Secret::new(hashing_secret),
            trusted_proxies: Vec::new(),
            public_host: None,
        }
    }

    /// Checks what types can't: each error names the setting, the value and what was expected.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.gateway_id.is_empty() || self.gateway_id.contains(|c: char| c.is_whitespace() || c == '.') {
            return Err(ConfigError::new("gateway_id", &self.gateway_id, "a word without spaces and dots"));
        }
        for provider in self.providers.iter().chain(&self.upstream) {
            provider.validate()?;
        }
        for (index, provider) in self.providers.iter().enumerate() {
            if self.providers[..index].iter().any(|other| other.name == provider.name) {
                return Err(ConfigError::new(
                    "providers.name",
                    &provider.name,
                    "a name that no other provider has",
                ));
            }
        }
        if self.upstream.is_none() && self.provider(&self.default_provider).is_none() {
            let known: Vec<_> = self.all_providers().map(|provider| provider.name).collect();
            let expected = format!("the name of a provider: one of {}", known.join(", "));
            return Err(ConfigError::new("default_provider", &self.default_provider, expected));
        }
        self.redaction.validate()?;
        self.timeouts.validate()?;
        limits::above_zero(&[
            ("timeouts.head", self.connections.head),
            ("timeouts.keep_alive", self.connections.keep_alive),
        ])?;
        if !RECORDED_BODIES.contains(&self.max_recorded_body_bytes) {
            let expected = format!("{} to {} bytes", RECORDED_BODIES.start(), RECORDED_BODIES.end());
            return Err(ConfigError::new("max_recorded_body_bytes", self.max_recorded_body_bytes, expected));
        }
        self.queue.validate()
    }

    /// The provider of this name: a configured one, or else the built-in one.
    pub fn provider(&self, name: &str) -> Option<Provider> {
        let configured = self.providers.iter().find(|provider| provider.name == name);
        configured.cloned().or_else(|| builtin_provider(name))
    }

    /// The configured providers and the built-in ones that they leave.
    pub fn all_providers(&self) -> impl Iterator<Item = Provider> {
        let builtin = builtin_providers()
            .iter()
            .filter(|builtin| !self.providers.iter().any(|provider| provider.name == builtin.name));
        self.providers.iter().cloned().chain(builtin.map(Builtin::provider))
    }
}

/// A setting that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value:?}: expected {expected}")]
pub struct ConfigError {
    /// The setting's name.
    pub key: &'static str,
    /// What it was set to.
    pub value: String,
    /// What it can be set to.
    pub expected: String,
}

impl ConfigError {
    pub(crate) fn new(key: &'static str, value: impl fmt::Display, expected: impl Into<String>) -> Self {
        Self { key, value: value.to_string(), expected: expected.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> GatewayConfig {
        GatewayConfig::new(([127, 0, 0, 1], 0).into(), "g-1", [7; 32])
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(config().validate(), Ok(()));
    }

    #[test]
    fn an_unknown_default_provider_is_told_with_those_that_are_known() {
        let mut config = config();
        config.default_provider = "nobody".to_owned();
        let error = config.validate().unwrap_err();
        assert_eq!((error.key, error.value.as_str()), ("default_provider", "nobody"));
        assert!(error.expected.contains("openai, anthropic, gemini"), "{error}");
    }

    #[test]
    fn a_configured_provider_replaces_the_built_in_one_of_its_name() {
        let mut config = config();
        let url = BaseUrl::parse("http://127.0.0.1:9/v1").unwrap();
        let mine = Provider::new("openai", verbatim_core::model::ProviderDialect::Openai, url);
        config.providers.push(mine.clone());
        assert_eq!(config.provider("openai").unwrap().base_url, mine.base_url);
        assert_eq!(config.all_providers().filter(|provider| provider.name == "openai").count(), 1);
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        let mut config = config();
        let mine = builtin_provider("groq").unwrap();
        config.providers = vec![mine.clone(), mine];
        assert_eq!(config.validate().unwrap_err().key, "providers.name");
    }

    #[test]
    fn a_body_key_that_could_be_spelled_in_many_ways_is_refused() {
        for key in ["", "a b", "a/b", "é", "\"", &"a".repeat(65)] {
            let mut config = config();
            config.redaction.body = vec!["x-Api.key_2".to_owned(), key.to_owned()];
            let error = config.validate().unwrap_err();
            assert_eq!((error.key, error.value.as_str()), ("redaction.body", key));
        }
    }
}
