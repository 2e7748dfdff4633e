//! The query language: what a person types, as a tree that every backend can run.
//!
//! Free words and `"phrases"` are looked for in the text, `field:value` conditions in the columns; all must hold.
//! A `-` before either excludes. A value may be a list (`outcome:completed,refused`: any of them), hold stars
//! (`model:gpt-4*`), be compared (`tokens:>1000`) or span a range (`status:400..499`). Days are days in UTC.
//! A [`Query`] is shown in this language too, and reads back as the same tree.

mod ast;
mod columns;
mod holds;
mod keyword;
mod parse;
mod print;
mod scan;
mod value;

pub use ast::{Condition, Field, Filter, Pattern, Query, TextTerm};
pub use columns::{ListedPattern, TextColumns};
pub use parse::{QueryError, parse};

#[cfg(test)]
mod properties;
