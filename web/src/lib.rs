//! The web role: the REST API under `/api/v1`, a second, flat API with numbered pages for scripts that want no cursors,
//! and the dashboard.
//!
//! It reads; what is recorded and how it is stored it must not know. It asks the ports of `core`, and learns what
//! bytes mean from `dialects`.

#[expect(unused_qualifications, reason = "the macro that describes routes writes qualified paths")]
mod api;
mod assets;
#[expect(unused_qualifications, reason = "the macro that describes routes writes qualified paths")]
mod compat;
mod config;
mod error;
mod export;
mod find;
mod heavy;
mod live;
mod pages;
mod ports;
mod reading;
mod router;
mod security;
mod server;
mod state;
mod stores;
mod text;
mod view;

pub use config::{ConfigError, WebConfig};
pub use export::{Export, ExportError, ExportFormat};
pub use ports::{GatewayFigures, NoGateway, PipelineHealth, Ports, RenderMetrics};
pub use server::{BindError, Web};
pub use stores::Stores;
