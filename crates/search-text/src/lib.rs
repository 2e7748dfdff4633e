//! How text is found, the same on every search index: what its words are ([`tokens`]), what a query looks for
//! ([`Needles`]), which columns are looked through, too ([`columns`]), and where a needle stands ([`CutText`], [`snippet`]).
//!
//! Pure functions over text. Knows no index: each adapter writes tokens and asks for needles in its engine's language.

mod columns;
mod highlight;
mod needle;
mod words;

pub use columns::columns;
pub use highlight::{CutText, snippet};
pub use needle::{Needle, Needles};
pub use words::{Kind, Token, tokens};
