//! Why a configuration is not used.

use std::fmt;

use super::environment::InvalidDotenv;
use super::layers::Origin;

/// What is wrong with a configuration: which key, what it says, where that was given, and what was expected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Invalid {
    /// A value that its setting can't have.
    #[error("{key} = {value} ({origin}): expected {expected}")]
    Value { key: String, value: String, origin: Origin, expected: String },
    /// A setting that must be there is not.
    #[error("{key} is missing ({origin}): expected {expected}")]
    Missing { key: String, origin: Origin, expected: &'static str },
    /// There is no such setting.
    #[error("{key} ({origin}): there is no such setting; {hint}")]
    UnknownKey { key: String, origin: Origin, hint: String },
    /// The file can't be read as TOML.
    #[error("{path}: {problem}; expected a TOML file such as verbatim.example.toml")]
    File { path: String, problem: String },
    /// The `.env` file can't be read.
    #[error(transparent)]
    Dotenv(#[from] InvalidDotenv),
}

impl Invalid {
    /// The setting that is wrong, where it is one.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Value { key, .. } | Self::Missing { key, .. } | Self::UnknownKey { key, .. } => Some(key),
            Self::File { .. } | Self::Dotenv(_) => None,
        }
    }
}

/// All that was found wrong with a configuration; one or more.
#[derive(Debug)]
pub(crate) struct Invalids(pub(super) Vec<Invalid>);

impl Invalids {
    /// Each of them, in the order in which they were found.
    pub(crate) fn each(&self) -> &[Invalid] {
        &self.0
    }
}

/// A line for each.
impl fmt::Display for Invalids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, invalid) in self.0.iter().enumerate() {
            let line_feed = if index == 0 { "" } else { "\n" };
            write!(f, "{line_feed}{invalid}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalids {}

impl From<Invalid> for Invalids {
    fn from(invalid: Invalid) -> Self {
        Self(vec![invalid])
    }
}

/// What to say about a key that does not exist, given those that do.
pub(super) fn hint(key: &str, known: &[&str]) -> String {
    match key {
        "routes" => return "calls are routed by path and default_provider; leave it out".into(),
        "api_key" if known.contains(&"api_key_env") => {
            return "keys stay out of the file: put the key in an environment variable and name it in api_key_env"
                .into();
        }
        _ => {}
    }
    match nearest(key, known) {
        Some(known) => format!("did you mean {known}?"),
        None => format!("expected one of {}", known.join(", ")),
    }
}

/// The known word that this one is probably a slip of: at most two letters differ, and of a short word fewer.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase();
    let most = (word.chars().count() / 3).min(2);
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&word, known), *known))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, known)| known)
}
