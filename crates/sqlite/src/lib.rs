//! What the SQLite adapters share: opening a file, one writer thread a file with group commit, a pool of readers,
//! schema migrations, running filters as SQL, and what an SQLite error means to the caller of a port.
//!
//! Knows no port's tables: it is the engine's side only.

mod error;
mod filter;
mod migrate;
mod open;
mod readers;
mod writer;

pub use error::{Doing, classify};
pub use filter::{SqlCondition, to_sql};
pub use migrate::migrate;
pub use open::{Options, bytes_on_disk, open};
pub use readers::Readers;
pub use writer::Writer;
