//! What an installation on engines survives: gateways, recorders, NATS and PostgreSQL are killed, stopped and paused under
//! load, and what clients saw, what the provider's ledger says and what the archive holds must agree afterwards.
//!
//! `docs/reliability.md` says which test proves what. `./test --soak` runs them in their full length.
#![expect(clippy::print_stderr, reason = "a test says what it judged")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test, with its message")]

#[path = "../scale_out/api.rs"]
#[expect(dead_code, reason = "other test binaries use the rest of it")]
mod api;
mod backlog;
mod between;
#[path = "../e2e/calls.rs"]
mod calls;
#[path = "../e2e/client.rs"]
mod client;
#[path = "../scale_out/engines.rs"]
mod engines;
mod full;
mod gateways;
mod ground;
mod load;
mod long;
mod meilisearch;
mod messages;
mod nats;
mod place;
mod postgres;
mod random;
mod recorders;
mod retention;
#[path = "../scale_out/role.rs"]
#[expect(dead_code, reason = "other test binaries use the rest of it")]
mod role;
mod search;
mod slow;
#[path = "../e2e/stalls.rs"]
mod stalls;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other test binaries use the rest of it")]
mod support;
mod terminated;
#[path = "../e2e/verdict.rs"]
#[expect(dead_code, reason = "other test binaries use the rest of it")]
mod verdict;
mod wire;
