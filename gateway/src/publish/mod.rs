//! Behind the queue: turns an exchange's events into messages of the capture log, and gets these into the log, or
//! else into the spool.

mod backoff;
mod choice;
mod closing;
mod lane;
mod leg_buffer;
mod machine;
mod return_path;
mod worker;

pub(crate) use closing::sequence_lists;
pub(crate) use lane::LaneName;
pub(crate) use worker::{Publisher, PublisherConfig};
