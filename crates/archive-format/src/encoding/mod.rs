//! Compact binary forms for what no column holds. Each begins with its version, so that files stay readable for ever.

mod heads;
mod histogram;
mod wire;

pub use heads::{Heads, Manifest, Segment, StoredBody, decode_heads, encode_heads};
pub use histogram::{decode_histogram, encode_histogram};
pub use wire::Malformed;
