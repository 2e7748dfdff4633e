//! Every setting, with its type and its default.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use verbatim_core::model::ProviderDialect;
use verbatim_gateway::{QueueLimits, RECORDED_BODY, SpoolLimits, Timeouts};
use verbatim_listen::Limits;

use super::values::{Address, Link, LogLevel, Network, Period, Secret, Size, Upstream};

mod engines;

pub(crate) use engines::{
    CaptureLogSettings, IndexerSettings, MeilisearchSettings, NatsSettings, PostgresSettings,
};

/// Everything that can be set. The names are the file's keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Where calls go that no path decides.
    pub(crate) default_provider: String,
    /// Every call, whatever its path, goes to this base URL.
    pub(crate) upstream: Option<Upstream>,
    /// Where everything is kept.
    pub(crate) data_dir: String,
    /// What keys the hashes of credentials, where several processes must agree on it.
    pub(crate) secret: Secret,
    /// A file that holds it.
    pub(crate) secret_file: Option<String>,
    pub(crate) gateway: GatewaySettings,
    pub(crate) web: WebSettings,
    pub(crate) capture_log: CaptureLogSettings,
    pub(crate) recorder: RecorderSettings,
    pub(crate) indexer: IndexerSettings,
    pub(crate) nats: NatsSettings,
    pub(crate) postgres: PostgresSettings,
    pub(crate) meilisearch: MeilisearchSettings,
    pub(crate) retention: RetentionSettings,
    pub(crate) redaction: RedactionSettings,
    pub(crate) log: LogSettings,
    pub(crate) providers: Vec<ProviderSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_provider: "openai".into(),
            upstream: None,
            data_dir: "verbatim-data".into(),
            secret: Secret::default(),
            secret_file: None,
            gateway: GatewaySettings::default(),
            web: WebSettings::default(),
            capture_log: CaptureLogSettings::default(),
            recorder: RecorderSettings::default(),
            indexer: IndexerSettings::default(),
            nats: NatsSettings::default(),
            postgres: PostgresSettings::default(),
            meilisearch: MeilisearchSettings::default(),
            retention: RetentionSettings::default(),
            redaction: RedactionSettings::default(),
            log: LogSettings::default(),
            providers: Vec::new(),
        }
    }
}

/// Whether a call ever waits for its recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CaptureSetting {
    /// Never: what can't be kept is counted.
    BestEffort,
    /// What can't be kept is not relayed.
    Required,
}

/// The relay.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GatewaySettings {
    pub(crate) listen: Address,
    /// Where `/livez`, `/readyz` and `/metrics` are served apart from callers, if anywhere.
    pub(crate) admin_listen: Option<Address>,
    /// The address that callers reach the relay by.
    pub(crate) public_url: Option<Link>,
    pub(crate) capture: CaptureSetting,
    /// Whether callers' own credentials go through. Absent means yes, but on loopback only.
    pub(crate) allow_passthrough_keys: Option<bool>,
    /// Whether a provider's configured credential stands in where a caller sends none.
    pub(crate) default_key: bool,
    /// Origins whose pages may call the relay; `*` for all.
    pub(crate) cors_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<Network>,
    /// Of a body longer than this, the rest is relayed and not recorded.
    pub(crate) max_recorded_body_bytes: Size,
    pub(crate) timeouts: TimeoutSettings,
    pub(crate) queue: QueueSettings,
    pub(crate) spool: SpoolSettings,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            listen: Address::loopback(8080),
            admin_listen: None,
            public_url: None,
            capture: CaptureSetting::BestEffort,
            allow_passthrough_keys: None,
            default_key: false,
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            max_recorded_body_bytes: Size(RECORDED_BODY),
            timeouts: TimeoutSettings::default(),
            queue: QueueSettings::default(),
            spool: SpoolSettings::default(),
        }
    }
}

/// How long the relay waits for what.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TimeoutSettings {
    /// To connect to a provider, TLS included.
    pub(crate) connect: Period,
    /// From the request's last byte to the head of the answer.
    pub(crate) first_byte: Period,
    /// Between two chunks of either body.
    pub(crate) idle: Period,
    /// The whole call.
    pub(crate) total: Period,
    /// For the head of a connection's first request.
    pub(crate) head: Period,
    /// A caller's connection without a call.
    pub(crate) keep_alive: Period,
    /// How long open calls may go on at shutdown.
    pub(crate) drain: Period,
    /// How long the capture log has to confirm a message.
    pub(crate) acknowledge: Period,
}

impl Default for TimeoutSettings {
    fn default() -> Self {
        let (usual, connections) = (Timeouts::default(), Limits::default());
        Self {
            connect: Period(usual.connect),
            first_byte: Period(usual.first_byte),
            idle: Period(usual.idle),
            total: Period(usual.total),
            head: Period(connections.head),
            keep_alive: Period(connections.keep_alive),
            drain: Period(usual.drain),
            acknowledge: Period(usual.acknowledge),
        }
    }
}

/// How many captured bytes may wait in memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct QueueSettings {
    /// Of all exchanges.
    pub(crate) total: Size,
    /// Of one exchange.
    pub(crate) exchange: Size,
}

impl Default for QueueSettings {
    fn default() -> Self {
        let usual = QueueLimits::default();
        Self { total: Size(usual.total as u64), exchange: Size(usual.exchange as u64) }
    }
}

/// How much may wait on disk while the capture log can't take it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SpoolSettings {
    pub(crate) max_bytes: Size,
    /// What must stay free on that disk.
    pub(crate) min_free_bytes: Size,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        let usual = SpoolLimits::default();
        Self { max_bytes: Size(usual.max_bytes), min_free_bytes: Size(usual.min_free_bytes) }
    }
}

/// API and dashboard.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WebSettings {
    pub(crate) listen: Address,
    /// Where probes and metrics are served apart from people, if anywhere.
    pub(crate) admin_listen: Option<Address>,
    /// One password for a single person; empty for none.
    pub(crate) password: Secret,
    pub(crate) title: String,
    /// The address people reach the dashboard by.
    pub(crate) public_url: Option<Link>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<Network>,
}

impl Default for WebSettings {
    fn default() -> Self {
        Self {
            listen: Address::loopback(8081),
            admin_listen: None,
            password: Secret::default(),
            title: "Verbatim".into(),
            public_url: None,
            trusted_proxies: Vec::new(),
        }
    }
}

/// What turns captured calls into records.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RecorderSettings {
    /// Where a recorder on its own says how it is doing.
    pub(crate) listen: Address,
    /// How long to go on emptying the capture log at shutdown.
    pub(crate) drain: Period,
}

impl Default for RecorderSettings {
    fn default() -> Self {
        Self { listen: Address::loopback(8082), drain: Period(Duration::from_secs(30)) }
    }
}

/// What may be deleted; 0 is for ever, without limit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetentionSettings {
    pub(crate) bodies_days: u32,
    pub(crate) metadata_days: u32,
    pub(crate) max_exchanges: u64,
    pub(crate) max_bytes: Size,
}

/// What is hidden in records beside credentials, which always are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RedactionSettings {
    /// Names of headers.
    pub(crate) headers: Vec<String>,
    /// Names of query parameters.
    pub(crate) query: Vec<String>,
    /// Keys of JSON objects and form fields in bodies.
    pub(crate) body: Vec<String>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormatSetting {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Log lines.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogSettings {
    pub(crate) level: LogLevel,
    pub(crate) format: LogFormatSetting,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: LogLevel::default(), format: LogFormatSetting::Text }
    }
}

/// An upstream of one's own, or a built-in one set up differently.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderSettings {
    /// What it is called in paths and records.
    pub(crate) name: String,
    /// The wire language that it speaks.
    pub(crate) dialect: ProviderDialect,
    /// Its address with the version prefix.
    pub(crate) base_url: Upstream,
    /// The environment variable that holds its API key.
    pub(crate) api_key_env: Option<String>,
    /// The header that carries the key, where it is not the usual one of the dialect.
    pub(crate) api_key_header: Option<String>,
    /// Headers set on every call to it.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Secret>,
}
