//! The judge of fault tests: what clients saw, what the mock's ledger says and what the archive holds must agree.

pub(crate) mod calls;
pub(crate) mod client;
pub(crate) mod relay;
pub(crate) mod verdict;
