//! Bodies: stored as blocks, in one partition a bucket.

mod read;
mod stage;
mod store;

pub(crate) use read::{Unpacked, read_blocks, unpack_body};
pub(crate) use stage::{Cut, Staging};
pub(crate) use store::{BlockNumbers, NewBlocks, insert_blocks, known};
