//! The web role from outside: over HTTP, with ports in memory.
#![expect(clippy::unwrap_used, unreachable_pub, reason = "helpers of tests panic where a test would")]

#[path = "web/api.rs"]
mod api;
#[path = "web/auth.rs"]
mod auth;
#[path = "web/client.rs"]
mod client;
#[path = "web/compat.rs"]
mod compat;
#[path = "web/connections.rs"]
mod connections;
#[path = "web/export.rs"]
mod export;
#[path = "web/list.rs"]
mod list;
#[path = "web/live.rs"]
mod live;
#[path = "web/openapi.rs"]
mod openapi;
#[path = "web/overview.rs"]
mod overview;
#[path = "web/pages.rs"]
mod pages;
#[path = "web/playback.rs"]
mod playback;
mod support;
