//! The whole process under load, under kills and with recorded traffic: what clients saw, what the mock's ledger says
//! and what the archive holds must agree.
#![expect(clippy::print_stderr, reason = "a test says how many calls it excused, and what it skipped")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test, with its message")]

mod calls;
mod client;
mod faults;
mod recorded;
mod relay;
mod stalls;
mod verdict;
