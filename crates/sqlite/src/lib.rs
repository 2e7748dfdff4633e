//! What the SQLite adapters share: opening a file, one writer thread a file, running filters as SQL.
//!
//! Knows no port: it is the engine's side only.
