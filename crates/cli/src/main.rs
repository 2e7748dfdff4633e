//! The one binary: it reads the configuration, composes the roles, and watches over their lives.
//!
//! It must not know how a call is relayed, recorded, found or shown: the roles do.

mod config;

fn main() {}
