//! The capture log on NATS JetStream.
//!
//! Messages are appended to the stream `CAP` on subjects `cap.<kind>.<gateway>.<shard>`; two durable pull consumers,
//! shared by all processes, read its ends and its starts. Speaks JetStream's JSON API over core NATS: each request has
//! its answer in one inbox, nothing is left behind by those that get none. Works with nats-server 2.9 and newer.
//!
//! Knows nothing of what a message says: payloads are opaque.

mod ack_subject;
mod address;
mod append;
mod beats;
mod config;
mod connect;
mod dead_letters;
mod deliveries;
mod error;
mod events;
mod fullness;
mod garbage;
mod hearing;
mod live;
mod log;
mod measure;
mod pull;
mod raw;
mod reader;
mod requests;
mod scan;
mod setup;
mod stream;
mod survey;
mod upkeep;
mod wire;

pub use config::{ClientCertificate, Config, Credentials, Secret, Tls};
pub use error::NatsLogError;
pub use log::NatsLog;
pub use survey::{Changed, Survey, migrate};
