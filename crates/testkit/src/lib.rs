//! What tests share: the contract suites that every adapter of a port passes, models of ports in memory,
//! wrappers with faults, and real engines that a test has for itself.
//!
//! Knows no adapter: each instantiates the suites in its own tests.

#[expect(clippy::unwrap_used, reason = "a promise that is not kept fails its test")]
pub mod archive;
mod builders;
#[expect(clippy::unwrap_used, reason = "a promise that is not kept fails its test")]
pub mod capture_log;
#[expect(clippy::unwrap_used, reason = "a promise that is not kept fails its test")]
pub mod control;
mod faulty_archive;
mod faulty_log;
mod held;
pub mod history;
pub mod measure;
mod memory_log;
mod nats_server;
pub mod postgres;
mod process;
#[expect(clippy::unwrap_used, reason = "a promise that is not kept fails its test")]
pub mod search_index;
pub mod traffic;

pub use builders::ExchangeBuilder;
pub use faulty_archive::FaultyArchive;
pub use faulty_log::{Fault, FaultyLog};
pub use memory_log::MemoryLog;
pub use nats_server::NatsServer;
pub use process::{peak_memory, resident_memory};
