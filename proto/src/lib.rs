//! The messages that travel through the capture log: their form, their codec, and how a body is cut into pieces
//! and put together again.
//!
//! Does no I/O and knows no log: where messages stand and how they get there is not its business.

mod assembly;
mod bounds;
mod codec;
mod pieces;
pub mod v1;
mod whole;

pub use assembly::{Assembly, Hole};
pub use bounds::{MANIFESTS, SEQUENCES};
pub use codec::{DecodeError, Decoded, MAJOR, MINOR, decode, encode};
pub use pieces::{PART_BYTES, TIMED_CHUNKS, delta_decode, delta_encode, piece, piece_chunks, split};
