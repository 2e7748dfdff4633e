//! Settings: where they are given, what they may be, and which one counts.
//!
//! A flag counts more than the environment, that more than the file, that more than the default. Everything is read
//! and checked before any socket opens.

mod check;
mod engines;
pub(crate) mod environment;
mod file;
mod gather;
mod invalid;
mod layers;
mod placeholders;
mod problem;
mod read;
mod roles;
mod settings;
mod values;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use verbatim_gateway::builtin_providers;

use environment::Environment;
use gather::Untyped;
use invalid::nearest;
use layers::{Given, Misplaced};
use problem::Problem;
use read::Reader;

pub(crate) use check::Entry;
pub(crate) use invalid::{Invalid, Invalids};
pub(crate) use layers::Origin;
pub(crate) use settings::{LogFormatSetting, ProviderSettings, Settings};
pub(crate) use values::{Secret, Upstream};

/// The file that is read where none is named.
const USUAL_FILE: &str = "verbatim.toml";
const PREFIX: &str = "VERBATIM_";

/// Settings whose values are never shown, whatever they are.
const SECRETS: &[&str] = &["password", "token", "nkey", "api_key", "secret"];
const ENGINE_URLS: &[&str] = &["nats.url", "postgres.url", "meilisearch.url"];

/// Whether files of the working directory count that nobody named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// They do: whoever starts a service chose its directory.
    Read,
    /// They don't: the directory may be somebody else's work, such as a cloned repository in which a program is run.
    Left,
}

/// One setting given on the command line.
#[derive(Debug, Clone)]
pub(crate) struct Flag {
    /// As it is typed, such as `--web-addr`.
    pub(crate) name: &'static str,
    /// The setting's path, such as `web.listen`.
    pub(crate) key: &'static str,
    pub(crate) value: String,
}

/// The settings in force, and where each was given.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) settings: Settings,
    /// The file that was read, if there was one.
    pub(crate) file: Option<PathBuf>,
    given: Given,
}

impl Config {
    /// Reads and checks everything, and tells all that is wrong. `file` is the one named by a flag; `unnamed` tells of the usual one in `directory`.
    pub(crate) fn read(
        directory: &Path,
        file: Option<&Path>,
        unnamed: Unnamed,
        flags: &[Flag],
        environment: &dyn Environment,
    ) -> Result<Self, Invalids> {
        let file = file.map(Path::to_owned).or_else(|| environment.get("VERBATIM_CONFIG").map(PathBuf::from));
        let usual = || (unnamed == Unnamed::Read && usual_file(directory)).then(|| PathBuf::from(USUAL_FILE));
        let file = file.or_else(usual);
        let mut given = match &file {
            // Relative paths are the process's, but tests have a directory of their own.
            Some(file) if file.is_relative() && directory != Path::new(".") => {
                file::read(&directory.join(file))?
            }
            Some(file) => file::read(file)?,
            None => Given::empty(),
        };
        let mut found = Vec::new();
        given.overlay(from_environment(environment, &mut found));
        for flag in flags {
            let path: Vec<&str> = flag.key.split('.').collect();
            found.extend(put(&mut given, &path, &flag.value, Origin::Flag(flag.name)).err());
        }
        gather::settle(given, file, environment, found)
    }

    /// Adds a provider whose base URL does not come from the settings.
    pub(crate) fn add_provider(&mut self, provider: ProviderSettings, origin: Origin) {
        let index = self.settings.providers.len().to_string();
        let base_url = provider.base_url.to_string();
        // The place behind the last one is free.
        let _ = self.given.set(&["providers", &index, "base_url"], &base_url, origin);
        self.settings.providers.push(provider);
    }

    /// Whether this is `demo`, where the built-in provider stands for every other.
    pub(crate) fn is_demo(&self) -> bool {
        self.origin("providers.0.base_url") == Origin::Demo
    }

    /// Where calls go that don't go to a well-known provider's own address, a line each, and where that was said.
    pub(crate) fn other_upstreams(&self) -> Vec<String> {
        let settings = &self.settings;
        if let Some(upstream) = &settings.upstream {
            return vec![format!("all calls go to {upstream} ({})", self.origin("upstream"))];
        }
        if self.is_demo() {
            return vec![
                "all calls go to the built-in provider, whose answers are made up (demo)".to_owned(),
            ];
        }
        let usual = |provider: &ProviderSettings| {
            let known = builtin_providers().iter().find(|known| known.name == provider.name);
            known.is_some_and(|known| known.base_url == provider.base_url.to_string())
        };
        let others = settings.providers.iter().enumerate().filter(|(_, provider)| !usual(provider));
        others
            .map(|(index, provider)| {
                let origin = self.origin(&format!("providers.{index}.base_url"));
                format!("calls for {} go to {} ({origin})", provider.name, provider.base_url)
            })
            .collect()
    }

    /// Where the value of a setting was given; the path's parts are separated by dots.
    pub(crate) fn origin(&self, key: &str) -> Origin {
        self.given.at(key.split('.')).map_or(Origin::Default, |given| given.origin.clone())
    }

    /// What is wrong with the value of a setting that has the right type.
    fn invalid(&self, key: &str, value: impl Into<String>, expected: impl Into<String>) -> Invalid {
        let (key, origin) = (key.to_owned(), self.origin(key));
        Invalid::Value { key, value: value.into(), origin, expected: expected.into() }
    }
}

/// Whether the file is there that is read where none is named.
pub(crate) fn usual_file(directory: &Path) -> bool {
    directory.join(USUAL_FILE).exists()
}

/// Whether a variable is a setting of Verbatim's.
pub(crate) fn is_setting(variable: &str) -> bool {
    variable.starts_with(PREFIX)
}

/// `VERBATIM_SECTION__NAME` is `section.name`. A variable without `__` that is no setting may belong to somebody else
/// (Kubernetes sets `VERBATIM_SERVICE_HOST`, for one); it is an error only where it looks like a slip.
fn from_environment(environment: &dyn Environment, found: &mut Vec<Invalid>) -> Given {
    let known = top_level_keys();
    let mut given = Given::empty();
    for name in environment.names() {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let key = rest.to_ascii_lowercase();
        let origin = Origin::Environment(name.clone());
        if !key.contains("__") && !known.contains(&key.as_str()) {
            if let Some(meant) = (key != "config").then(|| nearest(&key, &known)).flatten() {
                let hint = format!("did you mean {PREFIX}{}?", meant.to_ascii_uppercase());
                found.push(Invalid::UnknownKey { key, origin, hint });
            }
            continue;
        }
        let path: Vec<&str> = key.split("__").collect();
        found.extend(put(&mut given, &path, &environment.get(&name).unwrap_or_default(), origin).err());
    }
    given
}

fn put(given: &mut Given, path: &[&str], value: &str, origin: Origin) -> Result<(), Invalid> {
    given.set(path, value, origin.clone()).map_err(|misplaced| {
        let hint = match misplaced {
            Misplaced::NotATable => "a part of its name is a setting itself".to_owned(),
            Misplaced::Gap(next) => format!("the next one of this list is number {next}"),
        };
        Invalid::UnknownKey { key: path.join("."), origin, hint }
    })
}

/// The names of all settings and sections that stand in no section: those that an unknown one is compared with.
fn top_level_keys() -> Vec<&'static str> {
    let mut unknown = Given::empty();
    let origin = Origin::Default;
    // A key that can't exist makes serde list those that do.
    match unknown.set(&["\0"], "", origin).ok().map(|()| Settings::deserialize(Reader(&unknown))) {
        Some(Err(Problem::UnknownKey(known))) => known.to_vec(),
        _ => Vec::new(),
    }
}

/// Gives every setting its type, or tells the first that can't have it.
fn typed(given: &Given) -> Result<Settings, Untyped> {
    serde_path_to_error::deserialize(Reader(given)).map_err(|error| {
        let mut path = path_of(error.path());
        let at = given.at(path.iter().map(String::as_str));
        let origin = at.map_or(Origin::Default, |at| at.origin.clone());
        let key = path.join(".");
        let invalid = match error.into_inner() {
            Problem::Expected(expected) => {
                let value = at.map_or_else(|| "nothing".into(), |at| shown(&key, at));
                Invalid::Value { key, value, origin, expected }
            }
            Problem::UnknownKey(known) => {
                let hint = invalid::hint(path.last().map_or("", String::as_str), known);
                Invalid::UnknownKey { key, origin, hint }
            }
            Problem::Missing(name) => {
                path.push(name.to_owned());
                Invalid::Missing { key: format!("{key}.{name}"), origin, expected: what_for(name) }
            }
        };
        Untyped { path, invalid: Box::new(invalid) }
    })
}

fn path_of(path: &serde_path_to_error::Path) -> Vec<String> {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// A value as it may be quoted: never a secret, nor what looks like one in the wrong place.
fn shown(key: &str, given: &Given) -> String {
    let name = key.rsplit('.').next().unwrap_or_default();
    let secret = SECRETS.contains(&name) || key.contains(".headers.") || ENGINE_URLS.contains(&key);
    let shown = given.shown();
    // A URL with an `@` holds credentials.
    if secret || shown.contains("://") && shown.contains('@') { Secret::MASK.into() } else { shown }
}

/// What a required setting is for.
fn what_for(name: &str) -> &'static str {
    match name {
        "name" => "what the provider is called in paths and records, such as \"claude\"",
        "dialect" => "the wire language that the provider speaks, such as \"openai\"",
        "base_url" => "the provider's address with its version prefix, such as \"https://api.openai.com/v1\"",
        _ => "a value",
    }
}

#[cfg(test)]
mod tests;
