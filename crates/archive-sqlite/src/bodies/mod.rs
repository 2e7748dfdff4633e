//! Bodies: stored as blocks, in one file a bucket.

mod buckets;
mod file;
mod read;
mod stage;

pub(crate) use buckets::Buckets;
pub(crate) use read::read_body;
pub(crate) use stage::{Staged, Stages};
