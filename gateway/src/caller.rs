//! What a call says of its caller and of itself.

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use verbatim_core::model::{RecordMode, UnknownWord};

use crate::headers;

const X_TITLE: HeaderName = HeaderName::from_static("x-title");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// A name or word a caller gives is cut to so many characters.
const WORD_CHARS: usize = 128;
/// A call has at most so many tags.
const TAGS: usize = 32;

/// The program: `x-title`, or else the first product of `user-agent`, without its version.
pub(crate) fn app(headers: &HeaderMap) -> Option<String> {
    if let Some(title) = word(headers.get(X_TITLE)) {
        return Some(title);
    }
    let agent = headers.get(USER_AGENT)?.to_str().ok()?;
    let product = agent.split_whitespace().next()?;
    let name = match product.rsplit_once('/') {
        // `OpenAI/Python` has no version.
        Some((name, version)) if version.starts_with(|c: char| c.is_ascii_digit() || c == 'v') => name,
        _ => product,
    };
    cut(name)
}

/// The project that the caller names.
pub(crate) fn project(headers: &HeaderMap) -> Option<String> {
    word(headers.get(headers::PROJECT))
}

/// The session: named in the path, or in a header.
pub(crate) fn session(in_path: Option<&str>, headers: &HeaderMap) -> Option<String> {
    in_path
        .and_then(|session| cut(&percent_decode_str(session).decode_utf8_lossy()))
        .or_else(|| word(headers.get(headers::SESSION)))
}

/// The caller's words for the call.
pub(crate) fn tags(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(headers::TAGS).iter();
    values
        .filter_map(text)
        .flat_map(|list| list.split(',').filter_map(cut).collect::<Vec<_>>())
        .take(TAGS)
        .collect()
}

/// What of the call is to be recorded. A word that is not known is an error: to record what somebody wanted to be
/// left out would be worse than to refuse.
pub(crate) fn record_mode(headers: &HeaderMap) -> Result<RecordMode, UnknownWord> {
    match headers.get(headers::RECORD) {
        None => Ok(RecordMode::Full),
        Some(value) => String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase().parse(),
    }
}

/// The trace that the call is part of (W3C Trace Context, section 3.2).
pub(crate) fn trace_id(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(TRACEPARENT)?.to_str().ok()?;
    let mut fields = value.trim().split('-');
    let version = fields.next()?;
    let id = fields.next()?;
    let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let valid = version.len() == 2
        && hex(version)
        && version != "ff"
        && id.len() == 32
        && hex(id)
        && id.bytes().any(|byte| byte != b'0');
    valid.then(|| id.to_owned())
}

fn text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}

fn word(value: Option<&HeaderValue>) -> Option<String> {
    cut(text(value?)?)
}

fn cut(word: &str) -> Option<String> {
    let word = word.trim();
    (!word.is_empty()).then(|| word.chars().filter(|c| !c.is_control()).take(WORD_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        list.iter().map(pair).collect()
    }

    #[test]
    fn an_app_is_named_without_its_version() {
        for (agent, name) in [
            ("OpenAI/Python 1.99.1", "OpenAI/Python"),
            ("curl/8.5.0", "curl"),
            ("claude-cli/1.0.3 (external, cli)", "claude-cli"),
            ("google-genai-sdk/1.2.0 gl-python/3.11", "google-genai-sdk"),
            ("python", "python"),
        ] {
            assert_eq!(app(&headers(&[("user-agent", agent)])).as_deref(), Some(name));
        }
        assert_eq!(
            app(&headers(&[("user-agent", "x/1"), ("x-title", " My App ")])).as_deref(),
            Some("My App")
        );
        assert_eq!(app(&HeaderMap::new()), None);
    }

    #[test]
    fn the_path_names_the_session_before_the_header() {
        let map = headers(&[("x-verbatim-session", "h")]);
        assert_eq!(session(Some("a%20b"), &map).as_deref(), Some("a b"));
        assert_eq!(session(None, &map).as_deref(), Some("h"));
    }

    #[test]
    fn tags_are_split_and_trimmed() {
        let map = headers(&[("x-verbatim-tags", "a, b,,"), ("x-verbatim-tags", "c")]);
        assert_eq!(tags(&map), ["a", "b", "c"]);
    }

    #[test]
    fn an_unknown_record_mode_is_an_error() {
        assert_eq!(record_mode(&headers(&[])), Ok(RecordMode::Full));
        assert_eq!(record_mode(&headers(&[("x-verbatim-record", " Meta")])), Ok(RecordMode::Meta));
        assert!(record_mode(&headers(&[("x-verbatim-record", "none")])).is_err());
    }

    #[test]
    fn a_trace_is_taken_only_from_a_valid_parent() {
        let trace = |value| trace_id(&headers(&[("traceparent", value)]));
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").as_deref(), Some(id));
        for bad in [
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "junk",
        ] {
            assert_eq!(trace(bad), None, "{bad}");
        }
    }
}
