//! The engines of an installation that is more than one process, and the listeners of roles on their own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::values::{Address, EngineUrl, Period, Secret, Size};

/// NATS JetStream, which then keeps the capture log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NatsSettings {
    /// Servers of one cluster, with commas between them.
    pub(crate) url: Option<EngineUrl>,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) token: Secret,
    /// The seed of an NKEY user.
    pub(crate) nkey: Secret,
    /// A file with JWT and seed, as `nsc` writes them.
    pub(crate) credentials_file: Option<String>,
    /// PEM file with the authorities to trust.
    pub(crate) ca_file: Option<String>,
    /// PEM files to show a server that asks for a certificate.
    pub(crate) client_cert: Option<String>,
    pub(crate) client_key: Option<String>,
    /// How many servers keep each message.
    pub(crate) replicas: u16,
    /// What a recorder took and never finished goes to another one after so long.
    pub(crate) acknowledgement_wait: Period,
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            url: None,
            user: String::new(),
            password: Secret::default(),
            token: Secret::default(),
            nkey: Secret::default(),
            credentials_file: None,
            ca_file: None,
            client_cert: None,
            client_key: None,
            replicas: 1,
            acknowledgement_wait: Period(Duration::from_secs(60)),
        }
    }
}

/// PostgreSQL, which then keeps the archive.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PostgresSettings {
    pub(crate) url: Option<EngineUrl>,
    /// PEM file with the authorities to trust.
    pub(crate) ca_file: Option<String>,
    /// PEM files to show a server that asks for a certificate.
    pub(crate) client_cert: Option<String>,
    pub(crate) client_key: Option<String>,
    /// Connections of one process for reading, and as many for writing.
    pub(crate) pool_size: u16,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self { url: None, ca_file: None, client_cert: None, client_key: None, pool_size: 8 }
    }
}

/// Meilisearch, which then serves word search.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MeilisearchSettings {
    pub(crate) url: Option<EngineUrl>,
    pub(crate) api_key: Secret,
    /// What our index is called.
    pub(crate) index: String,
}

impl Default for MeilisearchSettings {
    fn default() -> Self {
        Self {
            url: None,
            api_key: Secret::default(),
            index: verbatim_search_meilisearch::Config::INDEX.into(),
        }
    }
}

/// The durable queue between relay and recorder.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CaptureLogSettings {
    /// Bytes it may hold.
    pub(crate) max_bytes: Size,
}

impl Default for CaptureLogSettings {
    fn default() -> Self {
        Self { max_bytes: Size::mib(4096) }
    }
}

/// What keeps word search up with the archive.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct IndexerSettings {
    /// Where an indexer on its own says how it is doing.
    pub(crate) listen: Address,
}

impl Default for IndexerSettings {
    fn default() -> Self {
        Self { listen: Address::loopback(8083) }
    }
}
