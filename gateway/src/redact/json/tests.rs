use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use super::*;
use crate::config::Redaction;

fn keys() -> BodyKeys {
    BodyKeys::new(&Redaction { body: vec!["x-pin".to_owned()], ..Redaction::default() }).unwrap()
}

fn shown_of<'a>(keys: &BodyKeys, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut json = JsonRedactor::new(Anew::Never);
    let mut all = Vec::new();
    for chunk in chunks {
        let mut masked = Masked::new(chunk);
        json.feed(keys, chunk, &mut masked);
        match masked.changed() {
            Some(changed) => all.extend_from_slice(&changed),
            None => all.extend_from_slice(chunk),
        }
    }
    all
}

/// What is shown of a text, however it is cut in two or in single bytes.
fn shown(text: &str) -> String {
    let (keys, bytes) = (keys(), text.as_bytes());
    let whole = shown_of(&keys, [bytes]);
    for at in 0..bytes.len() {
        assert_eq!(shown_of(&keys, [&bytes[..at], &bytes[at..]]), whole, "{text} cut at {at}");
    }
    assert_eq!(shown_of(&keys, bytes.chunks(1)), whole, "{text} byte by byte");
    String::from_utf8(whole).unwrap()
}

#[test]
fn strings_under_secret_keys_are_masked_wherever_they_stand() {
    for (text, expected) in [
        (r#"{"access_token":"abcdefghijkl"}"#, r#"{"access_token":"redacted:***"}"#),
        (r#"{"a":[{"id_token" : "abc"}],"b":"abc"}"#, r#"{"a":[{"id_token" : "red"}],"b":"abc"}"#),
        (r#"{"x-pin":"1234","refresh_token":""}"#, r#"{"x-pin":"reda","refresh_token":""}"#),
        (r#"{"\u0061uthorization":"a\"b\\\u00e9"}"#, r#"{"\u0061uthorization":"redacted:***"}"#),
        (
            r#"{"password":"abc","a":{"private_key":"abc"}}"#,
            r#"{"password":"red","a":{"private_key":"red"}}"#,
        ),
        (
            r#"{"secret_access_key":"abc","session_token":"abc","client_assertion":"abc"}"#,
            r#"{"secret_access_key":"red","session_token":"red","client_assertion":"red"}"#,
        ),
        (r#"{"client_secret":"a","value":"b"}"#, r#"{"client_secret":"r","value":"b"}"#),
        (r#"data: {"authorization_token":"a b"}"#, r#"data: {"authorization_token":"red"}"#),
        (r#"{"access_token":"cut off he"#, r#"{"access_token":"redacted:*"#),
    ] {
        assert_eq!(shown(text), expected);
    }
}

#[test]
fn what_only_looks_like_a_credential_stays() {
    for text in [
        r#"{"authorization":{"type":"string","description":"a"},"id_token":null,"access_token":7}"#,
        r#"{"properties":{"password":{"type":"string"}},"required":["password"],"content":"password"}"#,
        r#"{"arguments":"{\"password\":\"abc\",\"private_key\":\"abc\"}","passwords":"a","Password":"b"}"#,
        r#"{"required":["authorization"],"type":"access_token","x":"y"}"#,
        r#"{"content":"{\"access_token\":\"abc\"}","a\"access_token":"b"}"#,
        r#"{"Access_Token":"a","my_access_token":"b","access_token2":"c","access_toke":"d"}"#,
        r#"{"headers":{"Authorization":"a"},"value":"desk_1","v":"ek_1"}"#,
        r#"{"tools":[{"parameters":{"properties":{"headers":{"type":"string"}}}}],"headers":{"a":"b"}}"#,
        r#"{"tools":{"a":{"headers":{"b":"c"}}},"x":[{"headers":{"b":"c"}}]}"#,
        r#"{"tools":"a","headers":{"b":"c"},"client_secret":["a"],"value":"c"}"#,
        r#"{"client_secret":{"a":{"value":"b"}},"value":"c"}"#,
    ] {
        assert_eq!(shown(text), text);
    }
}

#[test]
fn client_secrets_and_ephemeral_keys_are_masked() {
    assert_eq!(
        shown(r#"{"client_secret":{"expires_at":1,"value":"abcdefghij"},"value":"kept"}"#),
        r#"{"client_secret":{"expires_at":1,"value":"redacted:*"},"value":"kept"}"#,
    );
    assert_eq!(
        shown(r#"{"value":"ek_0123456789","expires_at":1,"a":{"value":"\u0065k_0\"1"}}"#),
        r#"{"value":"ek_redacted:*","expires_at":1,"a":{"value":"\u0065k_reda"}}"#,
    );
}

#[test]
fn the_keys_of_data_sources_are_masked() {
    assert_eq!(
        shown(
            r#"{"data_sources":[{"type":"azure_search","parameters":{"index_name":"i","authentication":{"type":"api_key",
            "key":"abcdefghij","more":{"key":"kept"}},"key":"kept"}}],"apiKey":"abc","logprobs":[{"token":"kept"}]}"#
        ),
        r#"{"data_sources":[{"type":"azure_search","parameters":{"index_name":"i","authentication":{"type":"api_key",
            "key":"redacted:*","more":{"key":"kept"}},"key":"kept"}}],"apiKey":"red","logprobs":[{"token":"kept"}]}"#,
    );
    let text = r#"{"authentication":["a",{"key":"b"}],"key":"ek_1","max_tokens":"1","prompt_cache_key":"c"}"#;
    assert_eq!(shown(text), text);
}

#[test]
fn all_strings_in_the_headers_of_a_tool_are_masked() {
    let text = r#"{"input":"a","tools":[{"type":"function","name":"f"},
        {"type":"mcp","headers":{"X-A":"one","b":["two",{"c":"three"}],"n":1},"server_url":"u"},
        {"headers":"plain","authorization":"four"}],"metadata":{"headers":{"X-A":"one"}}}"#;
    let expected = r#"{"input":"a","tools":[{"type":"function","name":"f"},
        {"type":"mcp","headers":{"X-A":"red","b":["red",{"c":"redac"}],"n":1},"server_url":"u"},
        {"headers":"redac","authorization":"reda"}],"metadata":{"headers":{"X-A":"one"}}}"#;
    assert_eq!(shown(text), expected);
}

#[test]
fn what_is_nested_too_deep_to_be_followed_is_masked() {
    let text = format!(r#"{{"tools":{}{{"headers":{{"a":"secret"}}}}"#, "[".repeat(DEEPEST + 5));
    let shown = shown_of(&keys(), [text.as_bytes()]);
    assert_eq!(shown.len(), text.len());
    assert!(!String::from_utf8(shown).unwrap().contains("secret"));
}

/// A JSON text, as much of it as tells what is to be masked.
#[derive(Debug, Clone)]
enum Tree {
    Text(String),
    Bare(&'static str),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

const NAMES: [&str; 13] = [
    "access_token",
    "api_key",
    "authentication",
    "authorization",
    "client_secret",
    "value",
    "key",
    "tools",
    "headers",
    "x-pin",
    "a",
    "id_",
    "è",
];

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        4 => "(ek_)?[a-c\"\\\\/\n:{é😀]{0,14}".prop_map(Tree::Text),
        1 => select(&NAMES[..]).prop_map(|name| Tree::Text(name.to_owned())),
        1 => select(&["null", "true", "-1.5e3"][..]).prop_map(Tree::Bare),
    ];
    leaf.prop_recursive(7, 60, 5, |inner| {
        let field = (select(&NAMES[..]).prop_map(str::to_owned), inner.clone());
        let tool =
            prop::collection::vec((Just("headers".to_owned()), inner.clone()), 0..2).prop_map(Tree::Object);
        let tools = prop::collection::vec(prop_oneof![tool, inner.clone()], 0..3).prop_map(Tree::List);
        prop_oneof![
            1 => prop::collection::vec(inner, 0..4).prop_map(Tree::List),
            3 => prop::collection::vec(field, 0..5).prop_map(Tree::Object),
            1 => tools.prop_map(|tools| Tree::Object(vec![("tools".to_owned(), tools)])),
        ]
    })
}

/// Writes trees in one of the many ways that JSON leaves open.
struct Writer {
    text: String,
    choices: u64,
}

impl Writer {
    fn choice(&mut self, of: u64) -> u64 {
        self.choices =
            self.choices.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.choices >> 33) % of
    }

    fn mark(&mut self, mark: &str) {
        for text in [" ", mark, "\n"] {
            if text == mark || self.choice(6) == 0 {
                self.text.push_str(text);
            }
        }
    }

    fn string(&mut self, text: &str) {
        let spelled = self.choice(3) == 0;
        self.text.push('"');
        for letter in text.chars() {
            if spelled && self.choice(3) == 0 {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    let upper = self.choice(2) == 0;
                    let unit = if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
                    self.text.push_str(&unit);
                }
            } else {
                let quoted = serde_json::to_string(&letter).unwrap();
                self.text.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
        self.text.push('"');
    }

    fn tree(&mut self, tree: &Tree) {
        match tree {
            Tree::Text(text) => self.string(text),
            Tree::Bare(text) => self.text.push_str(text),
            Tree::List(list) => {
                self.mark("[");
                for (index, element) in list.iter().enumerate() {
                    if index > 0 {
                        self.mark(",");
                    }
                    self.tree(element);
                }
                self.mark("]");
            }
            Tree::Object(fields) => {
                self.mark("{");
                let first_of_its_name =
                    |index: usize| fields[..index].iter().all(|(name, _)| *name != fields[index].0);
                for (index, (name, value)) in
                    fields.iter().enumerate().filter(|(at, _)| first_of_its_name(*at))
                {
                    if index > 0 {
                        self.mark(",");
                    }
                    self.string(name);
                    self.mark(":");
                    self.tree(value);
                }
                self.mark("}");
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Key(String),
    Index,
}

fn is_mask(text: &str) -> bool {
    let mark = "redacted:";
    text.strip_prefix(mark)
        .map_or_else(|| mark.starts_with(text), |rest| rest.bytes().all(|byte| byte == b'*'))
}

/// The rule, over the whole document: what has to be masked is, and nothing else.
fn check(value: &Value, shown: &Value, path: &mut Vec<Step>) {
    let key = |at: usize, name: &str| path.get(at).is_some_and(|step| *step == Step::Key(name.to_owned()));
    match (value, shown) {
        (Value::String(value), Value::String(shown)) => {
            let last = path.len().wrapping_sub(1);
            let named = ["access_token", "api_key", "authorization", "client_secret", "x-pin"]
                .iter()
                .any(|name| key(last, name));
            let in_secret = key(last, "value") && key(last.wrapping_sub(1), "client_secret");
            let in_source = key(last, "key") && key(last.wrapping_sub(1), "authentication");
            let in_headers = (0..path.len()).any(|at| {
                key(at, "tools") && path.get(at + 1) == Some(&Step::Index) && key(at + 2, "headers")
            });
            if named || in_secret || in_source || in_headers {
                assert!(is_mask(shown), "{shown} at {path:?}");
            } else if key(last, "value") && value.starts_with("ek_") {
                assert!(shown.strip_prefix("ek_").is_some_and(is_mask), "{shown} at {path:?}");
            } else {
                assert_eq!(value, shown, "at {path:?}");
            }
        }
        (Value::Array(values), Value::Array(shown)) => {
            assert_eq!(values.len(), shown.len());
            for (value, shown) in values.iter().zip(shown) {
                path.push(Step::Index);
                check(value, shown, path);
                path.pop();
            }
        }
        (Value::Object(values), Value::Object(shown)) => {
            assert_eq!(values.len(), shown.len());
            for (name, value) in values {
                path.push(Step::Key(name.clone()));
                check(value, &shown[name], path);
                path.pop();
            }
        }
        _ => assert_eq!(value, shown),
    }
}

/// Bytes in the pieces that three places cut them in.
fn cut(bytes: &[u8], mut places: [usize; 3]) -> [&[u8]; 4] {
    places.sort_unstable();
    let [one, two, three] = places;
    [&bytes[..one], &bytes[one..two], &bytes[two..three], &bytes[three..]]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn what_a_json_parser_finds_is_masked_and_the_rest_stays(
        tree in trees(), choices in any::<u64>(), cuts in any::<[Index; 3]>(),
    ) {
        let mut writer = Writer { text: String::new(), choices };
        writer.tree(&tree);
        let bytes = writer.text.as_bytes();
        let keys = keys();
        let shown = shown_of(&keys, [bytes]);
        prop_assert_eq!(shown.len(), bytes.len());
        let parsed = [bytes, &shown].map(|text| serde_json::from_slice::<Value>(text).unwrap());
        check(&parsed[0], &parsed[1], &mut Vec::new());
        let places = cuts.map(|place| place.index(bytes.len() + 1));
        prop_assert_eq!(shown_of(&keys, cut(bytes, places)), &shown[..]);
        prop_assert_eq!(shown_of(&keys, bytes.chunks(1)), shown);
    }

    #[test]
    fn garbage_gives_the_same_however_it_is_cut(
        tokens in prop::collection::vec(
            select(&[
                "\"", "\\", "\\u0074", "\\u006", "tools", "\"tools\"", "\"value\"", "ek_", "\"headers\"", ":", " ", "[", "{",
                "}", "]", ",", "client_secret", "\"client_secret\"", "auth", "orization", "\"id_token\":\"", "x", "\u{e9}",
            ][..]),
            0..40,
        ),
        cuts in any::<[Index; 3]>(),
    ) {
        let text = tokens.concat();
        let bytes = text.as_bytes();
        let keys = keys();
        let shown = shown_of(&keys, [bytes]);
        prop_assert_eq!(shown.len(), bytes.len());
        let places = cuts.map(|place| place.index(bytes.len() + 1));
        prop_assert_eq!(shown_of(&keys, cut(bytes, places)), &shown[..]);
        prop_assert_eq!(shown_of(&keys, bytes.chunks(1)), shown);
    }

    #[test]
    fn bytes_without_keys_stay(bytes in prop::collection::vec(any::<u8>(), 0..600), at in any::<Index>()) {
        let at = at.index(bytes.len() + 1);
        prop_assert_eq!(shown_of(&keys(), [&bytes[..at], &bytes[at..]]), bytes);
    }
}
