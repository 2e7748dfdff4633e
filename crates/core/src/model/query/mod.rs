//! The query language: what a person types, as a tree that every backend can run.

mod ast;
mod parse;

pub use ast::{Condition, Field, Filter, Pattern, Query, TextTerm};
pub use parse::{QueryError, parse};
