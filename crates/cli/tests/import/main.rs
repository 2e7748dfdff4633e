//! `verbatim import` from outside: a data directory's archive, moved into a real PostgreSQL.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod carried;
mod damaged;
mod killed;
mod refused;
mod worlds;

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod support;
