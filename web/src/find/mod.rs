//! Finds exchanges for a query: the search index where it has words, the archive where it only filters, and the
//! bodies themselves where it says `in:all`.

mod everywhere;
mod range;
mod service;

pub(crate) use everywhere::LOOKS_BACK;
pub(crate) use range::Range;
pub(crate) use service::{Ask, COUNTED, Found, FoundItem, Fragment, Notice, Where, find, fragments};
