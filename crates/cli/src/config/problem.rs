//! What is wrong with one value, as serde tells it, before it is known where the value came from.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

/// Why a value does not fit its setting.
#[derive(Debug)]
pub(super) enum Problem {
    /// The setting wants something else.
    Expected(String),
    /// There is no such setting; those there are.
    UnknownKey(&'static [&'static str]),
    /// A required setting is absent.
    Missing(&'static str),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expected(expected) => f.write_str(expected),
            Self::UnknownKey(_) => f.write_str("unknown key"),
            Self::Missing(key) => write!(f, "missing {key}"),
        }
    }
}

impl std::error::Error for Problem {}

impl Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Expected(message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Expected(expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Expected(expected.to_string())
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::Expected(expected.to_string())
    }

    fn unknown_variant(_: &str, variants: &'static [&'static str]) -> Self {
        let quoted: Vec<String> = variants.iter().map(|variant| format!("{variant:?}")).collect();
        Self::Expected(quoted.join(" or "))
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        Self::UnknownKey(known)
    }

    fn missing_field(key: &'static str) -> Self {
        Self::Missing(key)
    }
}
