//! The roles as processes of their own, on a real `nats-server`, PostgreSQL and, where one is given, Meilisearch.
#![expect(clippy::print_stderr, reason = "a test says what it measured, and what it skipped")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test, with its message")]

mod api;
mod doctor;
#[expect(dead_code, reason = "the fault tests use the rest of it")]
mod engines;
mod one_process;
mod outages;
mod refusals;
#[expect(dead_code, reason = "other test binaries use the rest of it")]
mod role;
mod roles;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other test binaries use the rest of it")]
mod support;
mod words;
