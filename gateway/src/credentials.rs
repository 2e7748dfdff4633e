//! Whose credential a call carries, and which one goes on to the provider.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use crate::config::Provider;
use crate::headers::{X_API_KEY, X_GOOG_API_KEY};
use crate::lending::{Lent, NotLent};
use crate::redact::{
    credential_of, is_credential_header, is_secret_header, is_secret_parameter, protocol_credential,
};

const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// Which credentials may be used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// Whether a caller's own goes on to the provider.
    pub(crate) allow_passthrough: bool,
    /// Whether the provider's stored one stands in where a caller has none.
    pub(crate) default_key: bool,
}

/// Why a call may not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CredentialError {
    /// It brought one of its own.
    #[error("this gateway does not forward callers' own provider credentials: allow_passthrough_keys is off")]
    PassthroughOff,
    /// It brought none.
    #[error("no credential came with the call, and this gateway lends none: send the provider's API key")]
    Missing,
    /// It may not use what is the operator's.
    #[error(transparent)]
    NotLent(#[from] NotLent),
}

/// The credential that came with a call, wherever it stands: the first that is not empty.
pub(crate) fn of_caller<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<Cow<'a, [u8]>> {
    // Where providers' SDKs put it; the rest is looked through only for calls that have none there.
    let usual = [AUTHORIZATION, X_API_KEY, API_KEY, X_GOOG_API_KEY];
    let mut in_usual = usual.iter().flat_map(|name| headers.get_all(name)).map(credential_of);
    if let Some(credential) = in_usual.find(|credential| !credential.is_empty()) {
        return Some(credential.into());
    }
    // Some servers take a semicolon for an ampersand.
    let mut pairs =
        query.into_iter().flat_map(|query| query.split(['&', ';'])).filter_map(|pair| pair.split_once('='));
    if let Some((_, value)) = pairs.find(|(name, value)| !value.is_empty() && is_secret_parameter(name)) {
        return Some(percent_decode_str(value).into());
    }
    let of_header = |(name, value): (&HeaderName, &'a HeaderValue)| match name {
        name if *name == SEC_WEBSOCKET_PROTOCOL => protocol_credential(value),
        name => is_credential_header(name.as_str()).then(|| credential_of(value)),
    };
    headers.iter().filter_map(of_header).find(|credential| !credential.is_empty()).map(Cow::from)
}

/// Takes off every header and query parameter that is for credentials: what is left of a call's own, where those do not
/// go on.
pub(crate) fn strip(headers: &mut HeaderMap, uri: Uri) -> Uri {
    let secret = |name: &&HeaderName| is_secret_header(name.as_str());
    let names: Vec<HeaderName> = headers.keys().filter(secret).cloned().collect();
    for name in names {
        headers.remove(name);
    }
    let Some(query) = uri.query() else { return uri };
    let stays = |pair: &&str| !is_secret_parameter(pair.split_once('=').map_or(pair, |(name, _)| name));
    if query.split('&').all(|pair| stays(&pair)) {
        return uri;
    }
    let kept: Vec<&str> = query.split('&').filter(stays).collect();
    let mark = if kept.is_empty() { "" } else { "?" };
    let asked = format!("{}{mark}{}", uri.path(), kept.join("&"));
    let mut parts = uri.into_parts();
    // Of what was read as a path and query, parts of the query make one.
    parts.path_and_query = asked.parse().ok();
    Uri::from_parts(parts).unwrap_or_default()
}

/// Checks that a call may go on with its own credential or the provider's stored one; where anything of the operator's
/// goes with it, `lendable` says if that may be.
pub(crate) fn check(
    policy: Policy,
    provider: &Provider,
    has_own: bool,
    lendable: impl FnOnce(Lent) -> Result<(), NotLent>,
) -> Result<(), CredentialError> {
    match (has_own, policy) {
        (true, Policy { allow_passthrough: false, .. }) => return Err(CredentialError::PassthroughOff),
        (false, Policy { allow_passthrough: false, default_key: false }) => {
            return Err(CredentialError::Missing);
        }
        _ => {}
    }
    let lent = if lends_key(policy, provider, has_own) {
        Lent::Key
    } else if !provider.headers.is_empty() {
        Lent::Headers
    } else if provider.base_url.is_local() {
        Lent::Place
    } else {
        return Ok(());
    };
    Ok(lendable(lent)?)
}

/// Adds what is the operator's to a call that may go on.
pub(crate) fn add(policy: Policy, provider: &Provider, has_own: bool, headers: &mut HeaderMap) {
    if lends_key(policy, provider, has_own)
        && let Some((name, value)) = provider.credential_header()
    {
        headers.insert(name, value);
    }
    for (name, value) in &provider.headers {
        headers.insert(name.clone(), value.expose().clone());
    }
}

/// Whether the stored credential stands in for the one that did not come.
fn lends_key(policy: Policy, provider: &Provider, has_own: bool) -> bool {
    provider.api_key.is_some() && policy.default_key && !has_own
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, builtin_provider};

    fn provider(name: &str) -> Provider {
        Provider { api_key: Some(Secret::new("stored".to_owned())), ..builtin_provider(name).unwrap() }
    }

    fn sent(policy: Policy, name: &str, has_own: bool) -> Result<Vec<(String, String)>, CredentialError> {
        let (mut headers, provider) = (HeaderMap::new(), provider(name));
        check(policy, &provider, has_own, |_| Ok(()))?;
        add(policy, &provider, has_own, &mut headers);
        let pair = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        Ok(headers.iter().map(pair).collect())
    }

    #[test]
    fn a_stored_credential_is_lent_only_where_that_is_said_and_none_came() {
        let open = Policy { allow_passthrough: true, default_key: false };
        assert_eq!(sent(open, "openai", false), Ok(vec![]));
        assert_eq!(sent(open, "openai", true), Ok(vec![]));
        let lending = Policy { default_key: true, ..open };
        assert_eq!(sent(lending, "openai", true), Ok(vec![]));
        let pair = |name: &str, value: &str| Ok(vec![(name.to_owned(), value.to_owned())]);
        assert_eq!(sent(lending, "openai", false), pair("authorization", "Bearer stored"));
        assert_eq!(sent(lending, "anthropic", false), pair("x-api-key", "stored"));
        assert_eq!(sent(lending, "gemini", false), pair("x-goog-api-key", "stored"));
    }

    #[test]
    fn whatever_is_the_operators_is_lent_and_not_given() {
        let refuse = |lent| Err(NotLent::Page(lent));
        let ask = |policy, provider: &Provider, has_own| check(policy, provider, has_own, refuse);
        let lent = |lent| Err(CredentialError::NotLent(NotLent::Page(lent)));
        let open = Policy { allow_passthrough: true, default_key: false };
        let lending = Policy { default_key: true, ..open };
        let mut openai = provider("openai");
        for has_own in [false, true] {
            assert_eq!(ask(open, &openai, has_own), Ok(()), "a stored key that stays where it is");
            assert_eq!(ask(open, &provider("ollama"), has_own), lent(Lent::Place));
        }
        assert_eq!(ask(lending, &openai, false), lent(Lent::Key));
        assert_eq!(ask(lending, &openai, true), Ok(()));
        openai.headers = vec![(X_API_KEY, Secret::new(HeaderValue::from_static("k")))];
        for has_own in [false, true] {
            assert_eq!(ask(open, &openai, has_own), lent(Lent::Headers));
        }
    }

    #[test]
    fn without_passthrough_a_callers_own_credential_is_refused() {
        let closed = Policy { allow_passthrough: false, default_key: false };
        assert_eq!(sent(closed, "openai", true), Err(CredentialError::PassthroughOff));
        assert_eq!(sent(closed, "openai", false), Err(CredentialError::Missing));
    }

    #[test]
    fn a_callers_credential_is_found_where_sdks_put_it() {
        let headers =
            |name: HeaderName, value| [(name, HeaderValue::from_static(value))].into_iter().collect();
        let found = |headers: HeaderMap, query| of_caller(&headers, query).map(Cow::into_owned);
        assert_eq!(found(headers(AUTHORIZATION, "Bearer k"), None), Some(b"k".to_vec()));
        assert_eq!(found(headers(X_API_KEY, "k"), None), Some(b"k".to_vec()));
        assert_eq!(found(headers(X_GOOG_API_KEY, "k"), None), Some(b"k".to_vec()));
        assert_eq!(found(HeaderMap::new(), Some("alt=sse&key=a%2Bb")), Some(b"a+b".to_vec()));
        assert_eq!(
            found(HeaderMap::new(), Some("key=&api-version=1&subscription-key=k")),
            Some(b"k".to_vec())
        );
        assert_eq!(found(headers(AUTHORIZATION, ""), None), None);
        assert_eq!(found(HeaderMap::new(), Some("alt=sse")), None);
        for (name, value) in
            [("xi-api-key", "k"), ("sec-websocket-protocol", "realtime, openai-insecure-api-key.k")]
        {
            let name = HeaderName::from_static(name);
            assert_eq!(found(headers(name, value), None), Some(b"k".to_vec()));
        }
        assert_eq!(found(headers(HeaderName::from_static("cookie"), "a=b"), None), None);
    }

    #[test]
    fn an_empty_credential_hides_no_other() {
        let headers = |empty| {
            let pairs = [(AUTHORIZATION, empty), (X_API_KEY, ""), (X_API_KEY, "k")];
            pairs.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
        };
        for empty in ["", " ", "Bearer", "bearer "] {
            let headers: HeaderMap = headers(empty);
            assert_eq!(of_caller(&headers, None).as_deref(), Some(b"k".as_slice()), "{empty:?}");
        }
        let none = HeaderMap::new();
        let found = of_caller(&none, Some("key=&a;token=k"));
        assert_eq!(found.as_deref(), Some(b"k".as_slice()));
    }

    #[test]
    fn what_is_for_credentials_is_taken_off() {
        let pairs = [("authorization", ""), ("cookie", "a=b"), ("xi-api-key", ""), ("accept", "a")];
        let mut headers: HeaderMap = pairs
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let uri = strip(&mut headers, Uri::from_static("http://h:1/p?key=&a=1&token&b=2"));
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"]);
        assert_eq!(uri, "http://h:1/p?a=1&b=2");
        assert_eq!(strip(&mut headers, Uri::from_static("http://h:1/p?key=")), "http://h:1/p");
        let same = Uri::from_static("http://h:1/p?a=1");
        assert_eq!(strip(&mut headers, same.clone()), same);
    }
}
