//! The process's environment, behind a trait so that tests use a map.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

/// Environment variables.
pub(crate) trait Environment {
    /// The value of a variable, if it is set to valid text.
    fn get(&self, name: &str) -> Option<String>;

    /// The names of all variables, sorted.
    fn names(&self) -> Vec<String>;
}

impl Environment for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// A `.env` file that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{path} can't be read: {problem}; expected lines such as OPENAI_API_KEY=sk-...")]
pub(crate) struct InvalidDotenv {
    path: String,
    problem: String,
}

/// The environment of this process alone.
pub(crate) fn of_process() -> BTreeMap<String, String> {
    let text = |(name, value): (OsString, OsString)| name.into_string().ok().zip(value.into_string().ok());
    std::env::vars_os().filter_map(text).collect()
}

/// The environment of this process, and beneath it what a `.env` file in `directory` says. The file never overrides
/// the real environment, and is optional.
pub(crate) fn with_dotenv(directory: &Path) -> Result<BTreeMap<String, String>, InvalidDotenv> {
    let mut variables = dotenv(directory)?;
    variables.extend(of_process());
    Ok(variables)
}

/// What a `.env` file in `directory` says; nothing where there is none.
pub(crate) fn dotenv(directory: &Path) -> Result<BTreeMap<String, String>, InvalidDotenv> {
    let mut variables = BTreeMap::new();
    let path = directory.join(".env");
    match dotenvy::from_path_iter(&path) {
        Ok(entries) => {
            for entry in entries {
                let (name, value) = entry.map_err(|error| invalid(&path, &error))?;
                variables.entry(name).or_insert(value);
            }
        }
        Err(error) if error.not_found() => {}
        Err(error) => return Err(invalid(&path, &error)),
    }
    Ok(variables)
}

/// The error without the offending line: it may hold a key.
fn invalid(path: &Path, error: &dotenvy::Error) -> InvalidDotenv {
    let problem = match error {
        dotenvy::Error::Io(error) => error.to_string(),
        dotenvy::Error::LineParse(line, at) => {
            let name = line.split('=').next().unwrap_or_default().trim();
            format!("the line that begins with {name:?} is not understood at its character {at}")
        }
        _ => "it is not understood".into(),
    };
    InvalidDotenv { path: path.display().to_string(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotenv_file_is_read_beneath_the_real_environment() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(".env"), "PATH=nowhere\nVERBATIM_TEST_ONLY_HERE=yes\n").unwrap();
        let environment = with_dotenv(directory.path()).unwrap();
        assert_ne!(environment["PATH"], "nowhere");
        assert_eq!(environment["VERBATIM_TEST_ONLY_HERE"], "yes");
        assert!(!of_process().contains_key("VERBATIM_TEST_ONLY_HERE"));
    }

    #[test]
    fn a_broken_dotenv_file_is_an_error_that_keeps_the_value_to_itself() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(".env"), "OPENAI_API_KEY='sk-secret\n").unwrap();
        let error = with_dotenv(directory.path()).unwrap_err().to_string();
        assert!(error.contains(".env") && error.contains("OPENAI_API_KEY"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn no_dotenv_file_is_fine() {
        assert!(with_dotenv(tempfile::tempdir().unwrap().path()).is_ok());
    }
}
