//! The most common chunk of all: a piece of text for one choice, and nothing else that is new.
//!
//! Most frames of most streams look like this. They are read without building a tree of values; a chunk with anything
//! more in it is not taken here.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A chunk of this form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlainChunk<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(rename = "object")]
    _object: Option<IgnoredAny>,
    #[serde(rename = "created")]
    _created: Option<IgnoredAny>,
    #[serde(rename = "obfuscation")]
    _obfuscation: Option<IgnoredAny>,
    #[serde(borrow)]
    pub(super) model: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) service_tier: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) system_fingerprint: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) provider: Option<Text<'a>>,
    #[serde(rename = "usage")]
    _usage: Option<()>,
    #[serde(borrow)]
    pub(super) choices: (PlainChoice<'a>,),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlainChoice<'a> {
    #[serde(default)]
    pub(super) index: u64,
    #[serde(borrow)]
    pub(super) delta: PlainDelta<'a>,
    #[serde(rename = "logprobs")]
    _logprobs: Option<()>,
    #[serde(rename = "finish_reason")]
    _finish_reason: Option<()>,
    #[serde(rename = "native_finish_reason")]
    _native_finish_reason: Option<()>,
    #[serde(rename = "stop_reason")]
    _stop_reason: Option<()>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlainDelta<'a> {
    #[serde(rename = "role")]
    _role: Option<IgnoredAny>,
    #[serde(borrow)]
    pub(super) content: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) reasoning_content: Option<Text<'a>>,
    #[serde(rename = "refusal")]
    _refusal: Option<()>,
    #[serde(rename = "tool_calls")]
    _tool_calls: Option<()>,
    #[serde(rename = "function_call")]
    _function_call: Option<()>,
}

/// Text that is borrowed where it needs no unescaping.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl Text<'_> {
    /// Writes the text where it is not written yet.
    pub(super) fn write(&self, into: &mut Option<String>) {
        if !self.0.is_empty() && into.as_deref() != Some(&*self.0) {
            *into = Some(self.0.clone().into_owned());
        }
    }
}

impl<'a> PlainChunk<'a> {
    /// The chunk, if it is of this form.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_with_anything_more_in_it_is_not_taken() {
        let chunk = |choice: &str, more: &str| {
            PlainChunk::read(format!(r#"{{"id":"c","model":"m","choices":[{choice}]{more}}}"#).as_bytes())
                .is_some()
        };
        let plain =
            r#"{"index":0,"delta":{"role":"assistant","content":"x","tool_calls":null},"logprobs":null}"#;
        assert!(chunk(plain, r#","usage":null,"obfuscation":"z""#));
        assert!(chunk(
            r#"{"index":3,"delta":{"content":null,"reasoning_content":"x"},"finish_reason":null}"#,
            ""
        ));
        for more in [r#","usage":{}"#, r#","error":{}"#, r#","x_groq":{}"#, r#","citations":[]"#] {
            assert!(!chunk(plain, more), "{more}");
        }
        for choice in [
            "",
            r#"{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}"#,
            r#"{"index":0,"delta":{"content":["x"]}}"#,
            r#"{"index":0,"delta":{"content":"x","refusal":"y"}}"#,
            r#"{"index":0,"delta":{"content":"x"},"logprobs":{}}"#,
            r#"{"index":0,"delta":{"content":"x"},"message":{}}"#,
            r#"{"index":0,"text":"x"}"#,
            r#"{"index":0,"delta":{"content":"x"}},{"index":1,"delta":{"content":"x"}}"#,
        ] {
            assert!(!chunk(choice, ""), "{choice}");
        }
    }
}
