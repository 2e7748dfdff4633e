//! Command lines that people are given to copy.

use std::path::Path;

/// A path as one word of a shell's command line: quoted where it has to be.
pub(crate) fn word(path: &Path) -> String {
    let path = path.display().to_string();
    // No path has a NUL, all that can't be quoted.
    shlex::try_quote(&path).map(Into::into).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_take_apart_is_quoted_and_nothing_else() {
        assert_eq!(word(Path::new("/var/lib/verbatim-data_2.0")), "/var/lib/verbatim-data_2.0");
        for odd in ["/my data", "/it's", "/$HOME", "/a;b", "/数 据", "/a\"b\\c"] {
            let words = shlex::split(&format!("verbatim --data-dir {} run", word(Path::new(odd)))).unwrap();
            assert_eq!(words, ["verbatim", "--data-dir", odd, "run"]);
        }
    }
}
