//! The log on real servers: what befalls them, who shares them, what stands in them, which of them will do.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod faults;
mod full;
mod garbage;
mod refusals;
mod sharing;
mod support;
