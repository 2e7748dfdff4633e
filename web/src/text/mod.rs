//! Every word that a page says, in each language: one that is missing does not compile.

mod catalogue;
mod choose;

pub(crate) use catalogue::{EN, Text, ZH};
pub(crate) use choose::Language;
