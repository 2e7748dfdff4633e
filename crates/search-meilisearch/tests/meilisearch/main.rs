//! The index against servers: one that plays Meilisearch, and real ones where they are given.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

mod contract;
mod fake;
mod faults;
mod hostile;
mod outages;
mod pages;
mod real;
