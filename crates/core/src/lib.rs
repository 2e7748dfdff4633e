//! The words of Verbatim and the contracts between its parts: what an exchange is ([`model`]) and what a
//! role may ask of the outside ([`ports`]).
//!
//! Knows no transport, no database and no wire language of a provider.

pub mod model;
pub mod ports;
