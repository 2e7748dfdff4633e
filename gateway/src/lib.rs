//! The relay: accepts an application's call, forwards it unchanged to its provider, and keeps a record of it
//! through the capture log.
//!
//! Never parses what a provider answers: bytes pass, and what they mean is the recorder's business.

mod accept;
mod caller;
mod capture;
mod client_io;
mod config;
mod credentials;
mod errors;
mod gateway;
mod headers;
mod health;
mod heartbeat;
mod lending;
mod metrics;
mod publish;
mod redact;
mod relay;
mod route;
mod scan;
mod spool;
mod target;
mod upstream;

pub use config::{
    BaseUrl, BaseUrlError, Builtin, CaptureMode, ConfigError, Cors, GatewayConfig, Provider, QueueLimits,
    RECORDED_BODY, Redaction, Secret, SpoolLimits, Timeouts, builtin_provider, builtin_providers,
};
pub use gateway::{Gateway, GatewayError, Ports};
pub use health::{GatewayHealth, HealthHandle};
