//! What a record does not show. Credentials in heads stand in it as keyed hashes, so that equal ones can be told to be
//! equal; those in bodies under a mask of their own length. What is forwarded never changes.

mod body;
mod form;
mod json;
mod keys;
mod mask;
mod names;
mod spelling;
mod url;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr2;
use percent_encoding::percent_decode;

use crate::capture::HeadBytes;
use crate::config::{Redaction, Secret};

pub(crate) use body::BodyRedactor;
pub(crate) use keys::BodyKeys;
pub(crate) use names::{is_credential_header, is_secret_header, is_secret_parameter};

const MARK: &str = "redacted:";
/// What OpenAI's realtime clients put before a key among the WebSocket protocols.
const PROTOCOL_KEYS: [&str; 2] = ["openai-insecure-api-key.", "openai-ephemeral-user-token."];

/// Hides credentials in recorded heads.
#[derive(Debug)]
pub(crate) struct Redactor {
    key: Secret<[u8; 32]>,
    headers: Vec<HeaderName>,
    query: Vec<String>,
}

impl Redactor {
    /// A redactor that hides, beside what always is secret, what `more` names.
    pub(crate) fn new(key: Secret<[u8; 32]>, more: &Redaction) -> Self {
        Self {
            key,
            headers: more.headers.iter().filter_map(|name| name.parse().ok()).collect(),
            query: more.query.iter().map(|name| name.to_ascii_lowercase()).collect(),
        }
    }

    /// The keyed hash that stands for a credential in records: BLAKE3 with the hashing secret over the credential's
    /// bytes (of an `Authorization` header: what follows the scheme), in hex.
    pub(crate) fn hash(&self, credential: &[u8]) -> String {
        blake3::keyed_hash(self.key.expose(), credential).to_hex().to_string()
    }

    /// Headers as they are recorded.
    pub(crate) fn head(&self, headers: &HeaderMap) -> HeadBytes {
        let mut head = HeadBytes::with_capacity(headers.len());
        for (name, value) in headers {
            if self.is_secret(name) {
                head.push(name.as_str(), self.mark(credential_of(value)).as_bytes());
            } else if name == http::header::SEC_WEBSOCKET_PROTOCOL {
                head.push(name.as_str(), self.protocols(value).as_ref());
            } else {
                // It may be a URL (`location`, `referer`, `x-goog-upload-url`), or hold one (`link`).
                head.push(name.as_str(), self.url(value.as_bytes()).as_ref());
            }
        }
        head
    }

    /// Path and query as they are recorded.
    pub(crate) fn path<'a>(&self, path_and_query: &'a str) -> Cow<'a, str> {
        match self.url(path_and_query.as_bytes()) {
            Cow::Borrowed(_) => path_and_query.into(),
            Cow::Owned(shown) => String::from_utf8_lossy(&shown).into_owned().into(),
        }
    }

    /// A text as it is recorded that may be a URL or have URLs in it: what is secret in their queries is hidden.
    fn url<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(query) = memchr2(b'?', b'#', text) else { return text.into() };
        let mut shown: Option<Vec<u8>> = None;
        let mut copied = 0;
        for (name, value) in url::parameters(text, query) {
            // One within what is hidden already is hidden with it.
            if value < copied || !self.is_secret_parameter(name) {
                continue;
            }
            let end = url::value_end(text, value);
            let credential: Cow<'_, [u8]> = percent_decode(&text[value..end]).into();
            let shown = shown.get_or_insert_default();
            shown.extend_from_slice(&text[copied..value]);
            shown.extend_from_slice(self.mark(&credential).as_bytes());
            copied = end;
        }
        match shown {
            None => text.into(),
            Some(mut shown) => {
                shown.extend_from_slice(&text[copied..]);
                shown.into()
            }
        }
    }

    fn mark(&self, credential: &[u8]) -> String {
        format!("{MARK}{}", self.hash(credential))
    }

    fn is_secret(&self, name: &HeaderName) -> bool {
        is_secret_header(name.as_str()) || self.headers.contains(name)
    }

    fn is_secret_parameter(&self, name: &str) -> bool {
        is_secret_parameter(name)
            || (!self.query.is_empty() && self.query.iter().any(|known| **known == *names::parameter(name)))
    }

    fn protocols<'a>(&self, value: &'a HeaderValue) -> Cow<'a, [u8]> {
        let Ok(text) = value.to_str() else { return value.as_bytes().into() };
        if !PROTOCOL_KEYS.iter().any(|prefix| text.contains(prefix)) {
            return value.as_bytes().into();
        }
        let hide = |protocol: &str| {
            let protocol = protocol.trim();
            protocol_key(protocol).map_or_else(
                || protocol.to_owned(),
                |(prefix, key)| format!("{prefix}{}", self.mark(key.as_bytes())),
            )
        };
        let shown: Vec<_> = text.split(',').map(hide).collect();
        shown.join(", ").into_bytes().into()
    }
}

/// The credential in a header's value: what follows a scheme such as `Bearer`; nothing where nothing does.
pub(crate) fn credential_of(value: &HeaderValue) -> &[u8] {
    let bytes = value.as_bytes().trim_ascii();
    for scheme in ["bearer", "basic", "token"] {
        if let Some((begin, rest)) = bytes.split_at_checked(scheme.len())
            && begin.eq_ignore_ascii_case(scheme.as_bytes())
            && rest.first().is_none_or(|byte| *byte == b' ')
        {
            return rest.trim_ascii();
        }
    }
    bytes
}

/// The credential among the WebSocket protocols that a value lists.
pub(crate) fn protocol_credential(value: &HeaderValue) -> Option<&[u8]> {
    let mut protocols = value.to_str().ok()?.split(',');
    protocols.find_map(|protocol| protocol_key(protocol.trim())).map(|(_, key)| key.as_bytes())
}

fn protocol_key(protocol: &str) -> Option<(&'static str, &str)> {
    PROTOCOL_KEYS.iter().find_map(|prefix| Some((*prefix, protocol.strip_prefix(prefix)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        let (headers, query) = (vec!["X-Team-Secret".to_owned()], vec!["Pin".to_owned()]);
        let more = Redaction { headers, query, ..Redaction::default() };
        Redactor::new(Secret::new([7; 32]), &more)
    }

    fn shown(name: &'static str, value: &'static str) -> String {
        let headers =
            [(HeaderName::from_static(name), HeaderValue::from_static(value))].into_iter().collect();
        let head = redactor().head(&headers).into_headers();
        String::from_utf8(head[0].value.to_vec()).unwrap()
    }

    #[test]
    fn credentials_are_hashed_the_same_wherever_they_stand() {
        let hash = redactor().hash(b"sk-1");
        assert_eq!(shown("authorization", "Bearer sk-1"), format!("redacted:{hash}"));
        assert_eq!(shown("x-api-key", "sk-1"), format!("redacted:{hash}"));
        assert_eq!(shown("x-team-secret", "sk-1"), format!("redacted:{hash}"));
        assert_eq!(redactor().path("/v1?key=sk-1&a=b"), format!("/v1?key=redacted:{hash}&a=b"));
        assert_eq!(shown("accept", "sk-1"), "sk-1");
        for name in ["cookie", "set-cookie", "x-goog-api-key", "api-key", "proxy-authorization"] {
            assert!(shown(name, "a=b").starts_with("redacted:"), "{name}");
        }
    }

    #[test]
    fn query_parameters_are_known_by_name_however_written() {
        for query in
            ["KEY=s", "%6bey=s", "api-key=s", "access_token=s", "sig=s", "X-Goog-Signature=s", "%70in=s"]
        {
            let shown = redactor().path(&format!("/p?a=1&{query}&z=2")).into_owned();
            assert!(
                !shown.contains("=s&") && shown.starts_with("/p?a=1&") && shown.ends_with("&z=2"),
                "{shown}"
            );
        }
        let whole = redactor().path("/p?key=a?key=\"b&z=2").into_owned();
        assert_eq!(whole, format!("/p?key=redacted:{}&z=2", redactor().hash(b"a?key=\"b")));
        for path in ["/key=s", "/p?", "/p?monkey=s&keys=t", "/p?key"] {
            assert_eq!(redactor().path(path), path);
        }
    }

    #[test]
    fn credentials_in_urls_are_hidden_in_any_header() {
        let hash = redactor().hash(b"s&1");
        for (name, value, expected) in [
            ("location", "https://a.example/f?sig=s%261&a=1#b", "https://a.example/f?sig=*&a=1#b"),
            ("referer", "/x?a=1&key=s%261", "/x?a=1&key=*"),
            ("referer", "/x?to=https://a.example/?key=s%261", "/x?to=https://a.example/?key=*"),
            ("x-goog-upload-url", "https://a.example/u?upload_id=s%261", "https://a.example/u?upload_id=*"),
            (
                "location",
                "app://done#access_token=s%261&expires_in=9",
                "app://done#access_token=*&expires_in=9",
            ),
            (
                "link",
                "<https://a.example/?token=s%261>; rel=\"next\", </b?a=1>, </c?key=s%261>",
                "<https://a.example/?token=*>; rel=\"next\", </b?a=1>, </c?key=*>",
            ),
        ] {
            assert_eq!(shown(name, value), expected.replace('*', &format!("redacted:{hash}")));
        }
        for value in ["https://a.example/key=s", "what? key=", "a?b#c", "/?a=1&pageToken=2", "?"] {
            assert_eq!(shown("location", value), value);
        }
    }

    #[test]
    fn a_key_among_websocket_protocols_is_hidden_and_the_others_stay() {
        let shown = shown("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-1,openai-beta.v1");
        let hash = redactor().hash(b"sk-1");
        assert_eq!(shown, format!("realtime, openai-insecure-api-key.redacted:{hash}, openai-beta.v1"));
    }
}
