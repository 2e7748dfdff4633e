//! The web role: the REST API under `/api/v1`, the routes that earlier tools documented, and the dashboard.
//!
//! It reads; what is recorded and how it is stored it must not know. It asks the ports of `core`, and learns what
//! bytes mean from `dialects`.

mod config;
mod ports;
mod router;
mod server;

pub use config::{ConfigError, WebConfig};
pub use ports::{GatewayFigures, NoGateway, PipelineHealth, Ports, RenderMetrics};
pub use server::{BindError, Web};
