//! What a record does not show. Credentials in heads stand in it as keyed hashes, so that equal ones can be told to be
//! equal; those in bodies under a mask of their own length. What is forwarded never changes.

mod body;
mod form;
mod json;
mod keys;
mod mask;
mod spelling;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use crate::capture::HeadBytes;
use crate::config::{Redaction, Secret};

pub(crate) use body::BodyRedactor;
pub(crate) use keys::BodyKeys;

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

/// The keyed hash that stands for a credential in records: BLAKE3 with the hashing secret over the credential's
/// bytes (of an `Authorization` header: what follows the scheme), in hex.
pub fn credential_hash(secret: &Secret<[u8; 32]>, credential: &[u8]) -> String {
    blake3::keyed_hash(secret.expose(), credential).to_hex().to_string()
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

    /// The keyed hash of a credential.
    pub(crate) fn hash(&self, credential: &[u8]) -> String {
        credential_hash(&self.key, credential)
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
                head.push(name.as_str(), value.as_bytes());
            }
        }
        head
    }

    /// Path and query as they are recorded.
    pub(crate) fn path<'a>(&self, path_and_query: &'a str) -> Cow<'a, str> {
        let Some((path, query)) = path_and_query.split_once('?') else { return path_and_query.into() };
        let secret =
            |pair: &str| pair.split_once('=').is_some_and(|(name, _)| self.is_secret_parameter(name));
        if !query.split('&').any(secret) {
            return path_and_query.into();
        }
        let mut shown = format!("{path}?");
        for (index, pair) in query.split('&').enumerate() {
            if index > 0 {
                shown.push('&');
            }
            match pair.split_once('=') {
                Some((name, value)) if self.is_secret_parameter(name) => {
                    let value: Cow<'_, [u8]> = percent_decode_str(value).into();
                    shown.push_str(name);
                    shown.push('=');
                    shown.push_str(&self.mark(&value));
                }
                _ => shown.push_str(pair),
            }
        }
        shown.into()
    }

    fn mark(&self, credential: &[u8]) -> String {
        format!("{MARK}{}", self.hash(credential))
    }

    fn is_secret(&self, name: &HeaderName) -> bool {
        matches!(
            name.as_str(),
            "authorization"
                | "proxy-authorization"
                | "x-api-key"
                | "api-key"
                | "x-goog-api-key"
                | "cookie"
                | "set-cookie"
                | "x-amz-security-token"
        ) || self.headers.contains(name)
    }

    fn is_secret_parameter(&self, name: &str) -> bool {
        let name = percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase();
        matches!(name.as_str(), "key" | "api_key" | "access_token" | "sig")
            || name.starts_with("x-amz-")
            || self.query.contains(&name)
    }

    fn protocols<'a>(&self, value: &'a HeaderValue) -> Cow<'a, [u8]> {
        let Ok(text) = value.to_str() else { return value.as_bytes().into() };
        if !PROTOCOL_KEYS.iter().any(|prefix| text.contains(prefix)) {
            return value.as_bytes().into();
        }
        let hide = |protocol: &str| {
            let protocol = protocol.trim();
            let key = PROTOCOL_KEYS.iter().find_map(|prefix| Some((prefix, protocol.strip_prefix(prefix)?)));
            key.map_or_else(
                || protocol.to_owned(),
                |(prefix, key)| format!("{prefix}{}", self.mark(key.as_bytes())),
            )
        };
        let shown: Vec<_> = text.split(',').map(hide).collect();
        shown.join(", ").into_bytes().into()
    }
}

/// The credential in a header's value: what follows a scheme such as `Bearer`.
pub(crate) fn credential_of(value: &HeaderValue) -> &[u8] {
    let bytes = value.as_bytes();
    for scheme in ["bearer ", "basic ", "token "] {
        if bytes.len() > scheme.len() && bytes[..scheme.len()].eq_ignore_ascii_case(scheme.as_bytes()) {
            return bytes[scheme.len()..].trim_ascii();
        }
    }
    bytes.trim_ascii()
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
            ["KEY=s", "%6bey=s", "api_key=s", "access_token=s", "sig=s", "X-Amz-Signature=s", "pin=s"]
        {
            let shown = redactor().path(&format!("/p?a=1&{query}&z=2")).into_owned();
            assert!(
                !shown.contains("=s&") && shown.starts_with("/p?a=1&") && shown.ends_with("&z=2"),
                "{shown}"
            );
        }
        for path in ["/key=s", "/p?", "/p?monkey=s&keys=t", "/p?key"] {
            assert_eq!(redactor().path(path), path);
        }
    }

    #[test]
    fn a_key_among_websocket_protocols_is_hidden_and_the_others_stay() {
        let shown = shown("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-1,openai-beta.v1");
        let hash = redactor().hash(b"sk-1");
        assert_eq!(shown, format!("realtime, openai-insecure-api-key.redacted:{hash}, openai-beta.v1"));
    }
}
