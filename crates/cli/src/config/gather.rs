//! Finds all that is wrong with a configuration, not only the first: what is wrong is noted and left out, and the rest is
//! looked at without it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::environment::Environment;
use super::invalid::{Invalid, Invalids};
use super::layers::{Given, Origin};
use super::{Config, typed};

/// A setting that can't be read as what it is to be, and where it stands.
pub(super) struct Untyped {
    pub(super) path: Vec<String>,
    pub(super) invalid: Box<Invalid>,
}

/// What says whether a part of the settings can be used.
type Check = fn(&Config, &dyn Environment) -> Result<(), Invalid>;

const CHECKS: [Check; 7] = [
    |config, _| config.check_placeholders(),
    |config, environment| config.gateway(environment, "check", [0; 32], None).map(drop),
    |config, _| config.web([0; 32], String::new()).map(drop),
    |config, _| config.nats().map(drop),
    |config, _| config.postgres().map(drop),
    |config, _| config.meilisearch().map(drop),
    |config, _| config.secret().map(drop),
];

/// Gives every setting its type and checks it. `found` is what was wrong before.
pub(super) fn settle(
    mut given: Given,
    file: Option<PathBuf>,
    environment: &dyn Environment,
    mut found: Vec<Invalid>,
) -> Result<Config, Invalids> {
    let Some(settings) = type_all(&mut given, &mut found) else { return Err(Invalids(found)) };
    let mut config = Config { settings, file, given };
    let mut taken: BTreeSet<String> = found.iter().filter_map(Invalid::key).map(str::to_owned).collect();
    // What is missing in a section may make others in it look wrong.
    let doubtful: BTreeSet<String> = taken.iter().map(|key| section(key).to_owned()).collect();
    let is_doubtful = |key: &str| {
        doubtful.contains(section(key)) || (key == "default_provider" && doubtful.contains("providers"))
    };
    for check in CHECKS {
        while let Err(invalid) = check(&config, environment) {
            let Some(key) = invalid.key().map(str::to_owned) else {
                found.push(invalid);
                break;
            };
            if !is_doubtful(&key) {
                found.push(invalid);
            }
            if !taken.insert(key.clone()) || !config.leave_out(&key) {
                break;
            }
        }
    }
    if found.is_empty() { Ok(config) } else { Err(Invalids(found)) }
}

/// The first part of a key that has several.
fn section(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
}

impl Config {
    /// Takes a setting away; `false` where that can't be done, or leaves something that is no configuration.
    fn leave_out(&mut self, key: &str) -> bool {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        if !self.given.remove(&path) {
            return false;
        }
        typed(&self.given).map(|settings| self.settings = settings).is_ok()
    }
}

/// Gives every setting its type; `None` where what is wrong can't be left out.
fn type_all(given: &mut Given, found: &mut Vec<Invalid>) -> Option<super::Settings> {
    let (mut taken, mut filled) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let Untyped { path, invalid } = match typed(given) {
            Ok(settings) => return Some(settings),
            Err(untyped) => untyped,
        };
        if filled.contains(&path) {
            found.push(*invalid);
            return None;
        }
        if matches!(*invalid, Invalid::Missing { .. }) {
            let parts: Vec<&str> = path.iter().map(String::as_str).collect();
            let is_put = given.set(&parts, filler(&parts), Origin::Default).is_ok();
            // One that was taken away was told.
            if !taken.contains(&path) {
                found.push(*invalid);
            }
            filled.insert(path);
            if !is_put {
                return None;
            }
        } else {
            found.push(*invalid);
            if !given.remove(&path) || !taken.insert(path) {
                return None;
            }
        }
    }
}

/// Something that a required setting can be, for as long as the rest is looked at.
fn filler<'a>(path: &[&'a str]) -> &'a str {
    match path {
        [.., "dialect"] => "openai",
        [.., "base_url"] => "http://127.0.0.1/v1",
        // The place in the list: no other provider is called that.
        [.., place, "name"] => place,
        _ => "",
    }
}
