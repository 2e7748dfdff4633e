//! Bodies: stored as blocks, in one file a bucket.

mod buckets;
mod file;
mod read;
mod stage;

pub(crate) use buckets::{Buckets, file_name, of_file};
pub(crate) use read::read_body;
pub(crate) use stage::Stages;
