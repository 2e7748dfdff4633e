//! What each role is told, made from the settings.

use std::path::Path;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use verbatim_core::model::ProviderDialect;
use verbatim_core::ports::Retention;
use verbatim_gateway::{
    CaptureMode, ConfigError, Cors, GatewayConfig, Provider, QueueLimits, Redaction, Secret as Hidden,
    SpoolLimits, Timeouts, builtin_providers,
};
use verbatim_recorder::RecorderConfig;
use verbatim_web::WebConfig;

use super::environment::Environment;
use super::settings::{CaptureSetting, ProviderSettings};
use super::values::{Secret, Upstream};
use super::{Config, Invalid};

/// What a provider given by `--upstream` is called where its address tells nothing.
const UPSTREAM: &str = "upstream";

/// On NATS, what was read stays for so long; a gateway is taken for dead after half of it.
const KEEP_READ: Duration = Duration::from_secs(60);

impl Config {
    /// What the relay is told. `identity` names this process in the capture log.
    pub(crate) fn gateway(
        &self,
        environment: &dyn Environment,
        identity: &str,
        hashing_secret: [u8; 32],
        spool: Option<&Path>,
    ) -> Result<GatewayConfig, Invalid> {
        let settings = &self.settings.gateway;
        let passthrough = settings.allow_passthrough_keys;
        if !settings.listen.is_loopback() && passthrough != Some(true) {
            return Err(self.invalid(
                "gateway.listen",
                format!("\"{}\"", settings.listen),
                "a loopback address such as \"127.0.0.1:8080\", or allow_passthrough_keys = true in [gateway] \
                 (VERBATIM_GATEWAY__ALLOW_PASSTHROUGH_KEYS=true), since everyone who reaches this address can use \
                 the relay",
            ));
        }
        let timeouts = &settings.timeouts;
        let mut config = GatewayConfig::new(settings.listen.0, identity, hashing_secret);
        config.providers = self.providers(environment)?;
        config.default_provider.clone_from(&self.settings.default_provider);
        config.upstream = self.settings.upstream.as_ref().map(|url| upstream(url, &config.providers));
        config.capture = match settings.capture {
            CaptureSetting::BestEffort => CaptureMode::BestEffort,
            CaptureSetting::Required => CaptureMode::Required,
        };
        config.allow_passthrough_keys = passthrough.unwrap_or(true);
        config.default_key = settings.default_key;
        config.cors = cors(&settings.cors_origins);
        config.timeouts = Timeouts {
            connect: timeouts.connect.0,
            first_byte: timeouts.first_byte.0,
            idle: timeouts.idle.0,
            total: timeouts.total.0,
            drain: timeouts.drain.0,
            acknowledge: timeouts.acknowledge.0,
        };
        config.connections.head = timeouts.head.0;
        config.connections.keep_alive = timeouts.keep_alive.0;
        config.queue = QueueLimits {
            total: settings.queue.total.in_memory(),
            exchange: settings.queue.exchange.in_memory(),
        };
        config.max_recorded_body_bytes = settings.max_recorded_body_bytes.0;
        config.spool = SpoolLimits {
            max_bytes: settings.spool.max_bytes.0,
            directory: spool.map(Path::to_owned),
            min_free_bytes: settings.spool.min_free_bytes.0,
        };
        config.redaction = Redaction {
            headers: self.settings.redaction.headers.clone(),
            query: self.settings.redaction.query.clone(),
            body: self.settings.redaction.body.clone(),
        };
        config.trusted_proxies = settings.trusted_proxies.iter().map(|network| network.0).collect();
        config.public_host =
            settings.public_url.as_ref().and_then(|link| link.0.host_str().map(str::to_owned));
        config.validate().map_err(|error| self.refused(&error))?;
        Ok(config)
    }

    /// What API and dashboard are told. `gateway_url` is the address that clients are pointed at.
    pub(crate) fn web(&self, session_secret: [u8; 32], gateway_url: String) -> Result<WebConfig, Invalid> {
        let settings = &self.settings.web;
        if !settings.listen.is_loopback() && settings.password.is_empty() {
            return Err(self.invalid(
                "web.listen",
                format!("\"{}\"", settings.listen),
                "a loopback address such as \"127.0.0.1:8081\", or a password in [web] (VERBATIM_WEB__PASSWORD), \
                 since everyone who reaches this address can read every exchange",
            ));
        }
        let mut config = WebConfig::new(settings.listen.0, session_secret);
        settings.password.reveal().clone_into(&mut config.password);
        config.title.clone_from(&settings.title);
        config.public_url = settings.public_url.as_ref().map(|link| link.0.clone());
        config.trusted_proxies = settings.trusted_proxies.iter().map(|network| network.0).collect();
        config.gateway_url = gateway_url;
        Ok(config)
    }

    /// The address that callers reach the relay by; `own` is where the one of this process listens.
    pub(crate) fn gateway_url(&self, own: Option<&str>) -> String {
        let settings = &self.settings.gateway;
        match (&settings.public_url, own) {
            (Some(url), _) => url.to_string().trim_end_matches('/').to_owned(),
            (None, Some(own)) => own.to_owned(),
            (None, None) => format!("http://{}", settings.listen),
        }
    }

    /// What the recorder is told.
    pub(crate) fn recorder(&self) -> RecorderConfig {
        let retention = &self.settings.retention;
        // Gateways that are processes of their own may be cut off, taken for dead, and go on.
        let keep_read = if self.settings.nats.url.is_some() { KEEP_READ } else { Duration::ZERO };
        RecorderConfig {
            keep_read,
            drain: self.settings.recorder.drain.0,
            retention: Retention {
                bodies_days: retention.bodies_days,
                metadata_days: retention.metadata_days,
                max_exchanges: retention.max_exchanges,
                max_bytes: retention.max_bytes.0,
            },
            ..RecorderConfig::default()
        }
    }

    /// The configured providers, and the built-in ones whose usual key variable is set.
    fn providers(&self, environment: &dyn Environment) -> Result<Vec<Provider>, Invalid> {
        let configured = &self.settings.providers;
        let mut providers = Vec::new();
        for (index, settings) in configured.iter().enumerate() {
            providers.push(self.provider(index, settings, environment)?);
        }
        for builtin in builtin_providers() {
            if configured.iter().any(|settings| settings.name == builtin.name) {
                continue;
            }
            let key = builtin.key_variables.iter().find_map(|name| environment.get(name));
            if let Some(key) = key.filter(|key| !key.trim().is_empty()) {
                let api_key = Some(Hidden::new(key.trim().to_owned()));
                providers.push(Provider { api_key, ..builtin.provider() });
            }
        }
        Ok(providers)
    }

    fn provider(
        &self,
        index: usize,
        settings: &ProviderSettings,
        environment: &dyn Environment,
    ) -> Result<Provider, Invalid> {
        let key = |name: &str| format!("providers.{index}.{name}");
        let mut provider = Provider::new(&settings.name, settings.dialect, settings.base_url.0.clone());
        if let Some(variable) = &settings.api_key_env {
            // Who writes the key itself here must not find it in a log.
            let name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            if !variable.chars().all(name) {
                return Err(self.invalid(
                    &key("api_key_env"),
                    Secret::MASK,
                    "the name of an environment variable in capitals, such as \"OPENAI_API_KEY\", not the key itself",
                ));
            }
            let value = environment.get(variable).filter(|value| !value.trim().is_empty());
            provider.api_key = value.map(|value| Hidden::new(value.trim().to_owned()));
        }
        if let Some(header) = &settings.api_key_header {
            let parsed = HeaderName::try_from(header.as_str()).map_err(|_| {
                self.invalid(
                    &key("api_key_header"),
                    format!("{header:?}"),
                    "a header's name such as \"api-key\"",
                )
            })?;
            provider.api_key_header = Some(parsed);
        }
        for (name, value) in &settings.headers {
            let parsed =
                HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::from_str(value.reveal()).ok());
            let (header, value) = parsed.ok_or_else(|| {
                let expected = "a header's name and a value of printable characters";
                self.invalid(&key(&format!("headers.{name}")), Secret::MASK, expected)
            })?;
            provider.headers.push((header, Hidden::new(value)));
        }
        Ok(provider)
    }

    /// What the gateway refused, by the setting it came from.
    fn refused(&self, error: &ConfigError) -> Invalid {
        let key = match error.key {
            "providers.name" | "providers.api_key" => {
                let names = self.settings.providers.iter().map(|provider| &provider.name);
                // Of two with one name, the second is the one that is wrong.
                let index = names.enumerate().filter(|(_, name)| **name == error.value).last();
                format!("providers.{}.name", index.map_or(0, |(index, _)| index))
            }
            key @ ("default_provider" | "redaction.body") => key.to_owned(),
            key => format!("gateway.{key}"),
        };
        self.invalid(&key, format!("{:?}", error.value), &error.expected)
    }
}

/// The provider behind `--upstream`: a well-known one where the address is its own.
fn upstream(url: &Upstream, configured: &[Provider]) -> Provider {
    let base_url = url.0.clone();
    let known = configured.iter().cloned().chain(builtin_providers().iter().map(|known| known.provider()));
    let same_host = |provider: &Provider| provider.base_url.authority() == base_url.authority();
    match known.into_iter().find(same_host) {
        // With or without `/v1`: the well-known one has the right path.
        Some(provider) if base_url.path().is_empty() => Provider { is_builtin: false, ..provider },
        Some(provider) => {
            let replaces_v1 = Provider::new("", provider.dialect, base_url.clone()).replaces_v1;
            Provider { base_url, replaces_v1, is_builtin: false, ..provider }
        }
        // OpenAI's language is what unknown providers speak; what a path says plainly counts more anyway.
        None => Provider::new(UPSTREAM, ProviderDialect::Openai, base_url),
    }
}

fn cors(origins: &[String]) -> Cors {
    match origins {
        [] => Cors::Off,
        origins if origins.iter().any(|origin| origin == "*") => Cors::Any,
        origins => Cors::Origins(origins.to_vec()),
    }
}
