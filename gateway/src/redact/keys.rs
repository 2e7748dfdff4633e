//! The keys whose values are credentials, and the search for them in bytes that pass.

use std::fmt;

use aho_corasick::{AhoCorasick, Input, Span, packed};

use crate::config::{ConfigError, Redaction};

/// What JSON can spell one byte of a key with: `\u005f`.
const SPELLING: usize = 6;
/// Keys with a credential as their value: of OAuth, of realtime sessions, of MCP servers, and of the data sources and
/// other providers that a call names. No `token`, which is what a model's output is made of. A schema that describes such
/// a key has no string as its value, and JSON inside a string has backslashes before its quotes: both stay.
const SECRETS: [&str; 18] = [
    "access_token",
    "api-key",
    "apiKey",
    "api_key",
    "apikey",
    "authorization",
    "authorization_token",
    "client_assertion",
    "client_secret",
    "connection_string",
    "encoded_api_key",
    "id_token",
    "password",
    "private_key",
    "refresh_token",
    "secret_access_key",
    "session_token",
    "subscription_key",
];

/// What a key says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    /// A string is a credential.
    pub(super) secret: bool,
    pub(super) role: Role,
}

/// What else a key says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    None,
    /// An object has a credential as its `value`.
    ClientSecret,
    /// A string may be an ephemeral key.
    Value,
    /// The elements of a list may have `headers`.
    Tools,
    /// In an element of `tools`, all strings are credentials.
    Headers,
    /// An object has a credential as its `key` (Azure OpenAI's own data sources).
    Authentication,
    /// In such an object, a string is a credential.
    Key,
}

impl Meaning {
    /// Of a key that tells nothing.
    pub(super) const NONE: Self = Self { secret: false, role: Role::None };
}

/// The keys that matter.
pub(crate) struct BodyKeys {
    /// Sorted, so that those with a common beginning are a range.
    names: Vec<(String, Meaning)>,
    /// Finds names in quotes, and the escapes that names can be spelled with, many bytes at a time.
    vector: Option<packed::Searcher>,
    /// Finds the same where the machine has no vectors for that, or the names are too many.
    automaton: AhoCorasick,
    reach: usize,
}

/// What the search comes upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A key that matters, with its quotes, unless a backslash stands before it.
    Key { start: usize, end: usize, meaning: Meaning },
    /// An escape that stands for a letter of some key.
    Escape { at: usize },
}

/// The keys that begin as what was read so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidates {
    from: usize,
    to: usize,
    length: usize,
}

impl BodyKeys {
    /// The keys that always matter, and those that `more` names.
    pub(crate) fn new(more: &Redaction) -> Result<Self, ConfigError> {
        let key = |role, name: &str| (name.to_owned(), Meaning { secret: false, role });
        let mut names = vec![
            key(Role::Value, "value"),
            key(Role::Tools, "tools"),
            key(Role::Headers, "headers"),
            key(Role::Authentication, "authentication"),
            key(Role::Key, "key"),
        ];
        let configured = more.body.iter().map(String::as_str);
        for name in SECRETS.into_iter().chain(configured) {
            let known = names.iter_mut().find(|(known, _)| known == name);
            let role = if name == "client_secret" { Role::ClientSecret } else { Role::None };
            match known {
                Some((_, meaning)) => meaning.secret = true,
                None => names.push((name.to_owned(), Meaning { secret: true, role })),
            }
        }
        names.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let mut patterns: Vec<String> = names.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let mut rows: Vec<u8> =
            names.iter().flat_map(|(name, _)| name.bytes().map(|byte| byte >> 4)).collect();
        rows.sort_unstable();
        rows.dedup();
        patterns.extend(rows.iter().map(|row| format!("\\u00{row}")));
        let automaton = AhoCorasick::new(&patterns).map_err(|error| {
            let count = format!("{} keys", more.body.len());
            ConfigError::new("redaction.body", count, format!("fewer ({error})"))
        })?;
        let reach = names.iter().map(|(name, _)| name.len() * SPELLING).max().unwrap_or_default() + 1;
        Ok(Self { names, vector: packed::Searcher::new(&patterns), automaton, reach })
    }

    /// The bytes, with the quote before them, that a key can take up however it is spelled.
    pub(super) const fn reach(&self) -> usize {
        self.reach
    }

    /// The first of what is looked for from `from` on.
    pub(super) fn find(&self, bytes: &[u8], from: usize) -> Option<Found> {
        let span = Span { start: from, end: bytes.len() };
        let found = match &self.vector {
            Some(vector) => vector.find_in(bytes, span)?,
            None => self.automaton.find(Input::new(bytes).span(span))?,
        };
        Some(match self.names.get(found.pattern().as_usize()) {
            Some((_, meaning)) => Found::Key { start: found.start(), end: found.end(), meaning: *meaning },
            None => Found::Escape { at: found.start() },
        })
    }

    /// Every key.
    pub(super) fn candidates(&self) -> Candidates {
        Candidates { from: 0, to: self.names.len(), length: 0 }
    }

    /// Those of the candidates that go on with `byte`.
    pub(super) fn longer(&self, candidates: Candidates, byte: u8) -> Option<Candidates> {
        let Candidates { from, to, length } = candidates;
        let next = |(name, _): &(String, Meaning)| name.as_bytes().get(length).copied();
        let range = self.names.get(from..to)?;
        let skip = range.iter().position(|name| next(name) == Some(byte))?;
        let count = range[skip..].iter().take_while(|name| next(name) == Some(byte)).count();
        Some(Candidates { from: from + skip, to: from + skip + count, length: length + 1 })
    }

    /// What the candidate that ends here says, if one does.
    pub(super) fn named(&self, candidates: Candidates) -> Option<Meaning> {
        // Of names with a common beginning the shortest is the first.
        let (name, meaning) = self.names.get(candidates.from)?;
        (name.len() == candidates.length).then_some(*meaning)
    }
}

impl fmt::Debug for BodyKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(keys: &BodyKeys, name: &str) -> Option<Meaning> {
        let read = name.bytes().try_fold(keys.candidates(), |read, byte| keys.longer(read, byte));
        read.and_then(|read| keys.named(read))
    }

    #[test]
    fn a_key_is_known_whole_only() {
        let more = Redaction { body: vec!["auth".to_owned(), "value".to_owned()], ..Redaction::default() };
        let keys = BodyKeys::new(&more).unwrap();
        for name in SECRETS.into_iter().chain(["auth"]) {
            assert!(read(&keys, name).unwrap().secret, "{name}");
        }
        assert_eq!(read(&keys, "value"), Some(Meaning { secret: true, role: Role::Value }));
        assert_eq!(read(&keys, "tools"), Some(Meaning { secret: false, role: Role::Tools }));
        for name in ["", "a", "authorizatio", "authorization_", "tokens", "Authorization"] {
            assert_eq!(read(&keys, name), None, "{name}");
        }
    }

    #[test]
    fn both_searches_find_the_same() {
        let mut keys = BodyKeys::new(&Redaction::default()).unwrap();
        let text = br#"{"a":"b","x":{"client_secret": 1},"\u0061uthorization":"","tools":[]} "id_token "#;
        let mut all = [Vec::new(), Vec::new()];
        for found in &mut all {
            let mut at = 0;
            while let Some(next) = keys.find(text, at) {
                found.push(next);
                at = 1 + match next {
                    Found::Key { start, .. } => start,
                    Found::Escape { at } => at,
                };
            }
            keys.vector = None;
        }
        assert_eq!(all[0], all[1]);
        assert_eq!(all[0].len(), 3);
    }
}
