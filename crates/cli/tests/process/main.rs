//! The binary from outside: how it starts, refuses, serves, runs programs and ends.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod export;
mod run;
mod serve;
mod start;
#[path = "../support/mod.rs"]
mod support;
