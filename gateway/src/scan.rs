//! Finds the top-level `model` and `stream` of a JSON body as its bytes stream by, without keeping them.

use memchr::memchr2;

/// How far into a body is looked. Strings are skipped at the speed of memory, so that this bounds the time a
/// hostile body can take rather than an ordinary one.
const LOOK_AT: u64 = 32 * 1024 * 1024;
/// A model's name is at most so long; a longer one is none.
const VALUE_LEN: usize = 256;
/// Most models' names are no longer.
const USUAL_VALUE: usize = 32;
/// The longest key that matters, with its quotes left off.
const KEY_LEN: usize = 6;

/// A scan under way.
#[derive(Debug)]
pub(crate) struct Scan {
    state: State,
    depth: u32,
    seen: u64,
    key: Vec<u8>,
    value: Vec<u8>,
    model: Option<String>,
    stream: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Outside of strings, at any depth.
    Between,
    /// In a string; `escaped`: the next byte belongs to an escape.
    String { role: Role, escaped: bool },
    /// In a bare top-level value of `stream`.
    Bare,
    /// Nothing more to find.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A top-level key.
    Key,
    /// The value of `model`.
    Model,
    /// Any other.
    Other,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            state: State::Between,
            depth: 0,
            seen: 0,
            key: Vec::with_capacity(KEY_LEN + 1),
            value: Vec::with_capacity(USUAL_VALUE),
            model: None,
            stream: None,
        }
    }
}

impl Scan {
    /// Looks at the next bytes of the body.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        if self.seen >= LOOK_AT {
            self.state = State::Done;
        }
        self.seen += bytes.len() as u64;
        while !bytes.is_empty() {
            let used = match self.state {
                State::Between => self.between(bytes),
                State::String { role, escaped } => self.string(role, escaped, bytes),
                State::Bare => self.bare(bytes),
                State::Done => return,
            };
            bytes = &bytes[used..];
        }
    }

    /// Whether nothing more can be found.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The model asked for, if it was found.
    pub(crate) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Whether a stream was asked for, if that was found.
    pub(crate) const fn stream(&self) -> Option<bool> {
        self.stream
    }

    fn between(&mut self, bytes: &[u8]) -> usize {
        for (index, &byte) in bytes.iter().enumerate() {
            match byte {
                b'{' | b'[' => {
                    // A list, or a second value behind the first, has no top-level keys.
                    if self.depth == 0 && byte == b'[' {
                        self.state = State::Done;
                        return bytes.len();
                    }
                    self.depth += 1;
                    if self.depth == 1 {
                        self.key.clear();
                    }
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        self.state = State::Done;
                        return bytes.len();
                    }
                }
                b'"' => {
                    self.state = State::String { role: self.role(), escaped: false };
                    return index + 1;
                }
                b',' if self.depth == 1 => {
                    self.key.clear();
                    self.value.clear();
                }
                b':' if self.depth == 1 => self.value.push(b':'),
                b't' | b'f' if self.depth == 1 && self.key == b"stream" && self.value == b":" => {
                    self.state = State::Bare;
                    self.value.clear();
                    return index;
                }
                _ => {}
            }
        }
        bytes.len()
    }

    /// What a string that begins now is: a key until its colon came.
    fn role(&mut self) -> Role {
        match (self.depth, self.value.as_slice()) {
            (1, b"") => {
                self.key.clear();
                Role::Key
            }
            (1, b":") if self.key == b"model" => {
                self.value.clear();
                Role::Model
            }
            _ => Role::Other,
        }
    }

    fn string(&mut self, role: Role, escaped: bool, bytes: &[u8]) -> usize {
        if escaped {
            self.keep(role, &bytes[..1]);
            self.state = State::String { role, escaped: false };
            return 1;
        }
        let Some(at) = memchr2(b'"', b'\\', bytes) else {
            self.keep(role, bytes);
            return bytes.len();
        };
        self.keep(role, &bytes[..at]);
        if bytes[at] == b'\\' {
            self.keep(role, b"\\");
            self.state = State::String { role, escaped: true };
        } else {
            self.state = State::Between;
            if role == Role::Model {
                self.found_model();
            }
        }
        at + 1
    }

    fn keep(&mut self, role: Role, bytes: &[u8]) {
        let (kept, most) = match role {
            Role::Key => (&mut self.key, KEY_LEN),
            Role::Model => (&mut self.value, VALUE_LEN),
            Role::Other => return,
        };
        // One byte past the most tells that it is too long.
        let room = (most + 1).saturating_sub(kept.len()).min(bytes.len());
        kept.extend_from_slice(&bytes[..room]);
    }

    fn found_model(&mut self) {
        if self.value.len() <= VALUE_LEN {
            // As in JSON, the last of several counts.
            self.model = unquoted(&self.value).or(self.model.take());
        }
        self.value.clear();
        self.value.extend_from_slice(b"::");
    }

    fn bare(&mut self, bytes: &[u8]) -> usize {
        let length = bytes.iter().position(|byte| !byte.is_ascii_alphabetic());
        let word = &bytes[..length.unwrap_or(bytes.len())];
        self.value.extend_from_slice(&word[..word.len().min(KEY_LEN)]);
        if length.is_some() {
            self.stream = match self.value.as_slice() {
                b"true" => Some(true),
                b"false" => Some(false),
                _ => self.stream,
            };
            self.state = State::Between;
        }
        word.len()
    }
}

/// What a JSON string says, given without its quotes; `None` where it is none.
fn unquoted(string: &[u8]) -> Option<String> {
    let is_plain = |byte: &u8| *byte != b'\\' && *byte >= b' ';
    if string.iter().all(is_plain) {
        return std::str::from_utf8(string).ok().map(str::to_owned);
    }
    serde_json::from_slice(&[b"\"", string, b"\""].concat()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scan(chunks: &[&[u8]]) -> (Option<String>, Option<bool>) {
        let mut scan = Scan::default();
        chunks.iter().for_each(|chunk| scan.feed(chunk));
        (scan.model().map(str::to_owned), scan.stream())
    }

    fn found(model: &str, stream: bool) -> (Option<String>, Option<bool>) {
        (Some(model.to_owned()), Some(stream))
    }

    #[test]
    fn finds_top_level_values_only() {
        let body =
            br#"{"messages":[{"model":"no","stream":true,"content":"\"model\":\"no\"}"}],"x":{"stream":1},
            "metadata": {"model": "no"}, "model" : "gpt-5\u002dmini", "stream" :false }"#;
        assert_eq!(scan(&[body]), found("gpt-5-mini", false));
    }

    #[test]
    fn finds_a_model_behind_a_huge_list() {
        let mut body = br#"{"stream":true,"messages":[""#.to_vec();
        body.resize(4 << 20, b'a');
        body.extend_from_slice(br#""],"model":"last"}"#);
        assert_eq!(scan(&[&body]), found("last", true));
    }

    #[test]
    fn a_value_that_is_not_a_name_is_none() {
        assert_eq!(scan(&[br#"{"model":["a"],"stream":"true"}"#]), (None, None));
        assert_eq!(scan(&[br#"{"model":null,"stream":null}"#]), (None, None));
        assert_eq!(scan(&[br#"["model","a"]"#]), (None, None));
        assert_eq!(scan(&[br#"{"x":"model","y":"z"}"#]), (None, None));
        let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(300));
        assert_eq!(scan(&[long.as_bytes()]), (None, None));
    }

    #[test]
    fn nothing_is_found_behind_the_end() {
        assert_eq!(scan(&[br#"{"stream":true} {"model":"no"}"#]), (None, Some(true)));
    }

    proptest! {
        #[test]
        fn every_split_gives_the_same(cut in 0usize..120, second in 0usize..120) {
            let body = br#"{"a":["\\\"",{"b":1}],"model":"claude \"\u00e9\" 4","k\"":true,"stream":true,"n":-1.5e3}"#;
            let (first, second) = (cut.min(body.len()), second.min(body.len()));
            let (from, to) = (first.min(second), first.max(second));
            prop_assert_eq!(
                scan(&[&body[..from], &body[from..to], &body[to..]]),
                found("claude \"\u{e9}\" 4", true)
            );
        }

        #[test]
        fn any_bytes_are_taken_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = scan(&[&bytes]);
        }

        #[test]
        fn what_a_json_parser_finds_is_found(
            model in "[a-z0-9./:-]{1,40}", stream in any::<bool>(), other in "\\PC{0,40}", first in any::<bool>(),
        ) {
            let other = serde_json::to_string(&other).unwrap();
            let body = if first {
                format!("{{\"model\":\"{model}\",\"o\":{{\"p\":[{other}]}},{other}:{other},\"stream\":{stream}}}")
            } else {
                format!("{{{other}:{other},\"stream\": {stream} ,\"o\":[{{\"model\":{other}}}],\"model\":\"{model}\"}}")
            };
            let expected = serde_json::from_str::<serde_json::Value>(&body).unwrap();
            let (model, stream) = scan(&[body.as_bytes()]);
            prop_assert_eq!(model.as_deref(), expected["model"].as_str());
            prop_assert_eq!(stream, expected["stream"].as_bool());
        }
    }
}
