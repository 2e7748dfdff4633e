//! The gateway as callers and recorders meet it: real sockets, a provider with a ledger, a capture log in memory.
#![expect(clippy::unwrap_used, reason = "a promise that is not kept fails its test")]

mod support;

mod aborts;
mod connections;
mod endings;
mod failing_log;
mod http2;
mod long_bodies;
mod memory;
mod open;
mod own;
mod passing;
mod recording;
mod redaction;
mod required;
mod shutdown;
mod spooling;
mod timeouts;
mod tunnels;
mod unreachable;
