//! The capture log on SQLite files: the embedded capture log, and the gateway's spool.
//!
//! Messages are appended to files that are deleted whole once everything in them was purged; how far the log was read
//! is kept beside them. One thread writes messages, in groups; readers who keep up are served from memory.
//!
//! Knows nothing of what a message says: payloads are opaque.

mod appender;
mod beats;
mod config;
mod contents;
mod cursor;
mod ledger;
mod live;
mod lock;
mod log;
mod measure;
mod queue;
mod recent;
mod recover;
mod salvage;
mod segment;
mod shared;
mod state_file;

pub use config::Config;
pub use log::SqliteLog;
pub use recover::Damage;
