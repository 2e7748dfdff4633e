//! Records: their columns, what is open, what waits for the index, and the sums.

pub(crate) mod columns;
pub(crate) mod find;
pub(crate) mod keeping;
pub(crate) mod losses;
pub(crate) mod open_exchanges;
pub(crate) mod outbox;
pub(crate) mod rollup;
pub(crate) mod store;
pub(crate) mod totals;
