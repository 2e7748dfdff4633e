//! What every adapter of the archive does alike, whatever database is behind it: bodies cut into pieces and packed in
//! blocks, heads and histograms as bytes, sums, buckets, and where to begin to look for what a query asks.
//!
//! Knows no database and does no input and output.

pub mod bucket;
pub mod chunking;
pub mod encoding;
pub mod record;
pub mod seek;
pub mod squeeze;
pub mod stage;
pub mod sums;
pub mod text;
