//! What of the working directory `run` does not read, said where somebody may have counted on it.
//!
//! The directory may be somebody else's work: a cloned repository. With the keys of whoever runs a program there, no file
//! in it may decide where they go.

use std::path::Path;

use super::upstreams;
use crate::config::{Config, environment, is_setting, usual_file};
use crate::terminal;

/// Tells of it.
pub(super) fn tell(config: &Config, directory: &Path) {
    for line in lines(config, directory) {
        terminal::tell(format_args!("verbatim: {line}"));
    }
}

fn lines(config: &Config, directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    if config.file.is_none() && usual_file(directory) {
        lines.push(
            "`run` reads the verbatim.toml here only if it is named, since files in the working directory don't decide \
             where keys go: --config verbatim.toml"
                .to_owned(),
        );
    }
    // One that can't be read is the program's to complain of.
    let variables = environment::dotenv(directory).unwrap_or_default();
    let overlooked: Vec<&str> = variables
        .keys()
        .map(String::as_str)
        .filter(|name| is_setting(name) || upstreams::is_upstream(name))
        .collect();
    if !overlooked.is_empty() {
        lines.push(format!(
            "`run` takes no {} from the .env here, since files in the working directory don't decide where keys go: \
             export what is meant",
            overlooked.join(", ")
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::Unnamed;

    #[test]
    fn what_is_left_is_named_without_its_value() {
        let directory = tempfile::tempdir().unwrap();
        let told = |file: Option<&str>| {
            let file = file.map(Path::new);
            let config = Config::read(directory.path(), file, Unnamed::Left, &[], &BTreeMap::new()).unwrap();
            lines(&config, directory.path())
        };
        assert_eq!(told(None), [""; 0]);
        let text = "OPENAI_API_KEY=sk-1\nANTHROPIC_BASE_URL=https://evil.example\nVERBATIM_UPSTREAM=https://evil.example\n";
        std::fs::write(directory.path().join(".env"), text).unwrap();
        std::fs::write(directory.path().join("verbatim.toml"), "").unwrap();
        let [file, dotenv] = &told(None)[..] else { panic!("two lines") };
        assert!(file.contains("--config verbatim.toml"), "{file}");
        assert!(dotenv.contains("takes no ANTHROPIC_BASE_URL, VERBATIM_UPSTREAM from the .env"), "{dotenv}");
        assert!(!dotenv.contains("evil") && !dotenv.contains("OPENAI_API_KEY"), "{dotenv}");
        assert_eq!(told(Some("verbatim.toml")).len(), 1);
    }
}
