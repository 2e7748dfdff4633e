//! Whose credential a call carries, and which one goes on to the provider.

use std::borrow::Cow;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use verbatim_core::model::ProviderDialect;

use crate::config::Provider;
use crate::redact::credential_of;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const API_KEY: HeaderName = HeaderName::from_static("api-key");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

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
}

/// The credential that came with a call, wherever a provider's SDK puts it.
pub(crate) fn of_caller<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<Cow<'a, [u8]>> {
    [AUTHORIZATION, X_API_KEY, API_KEY, X_GOOG_API_KEY]
        .iter()
        .find_map(|name| headers.get(name))
        .map(credential_of)
        .filter(|credential| !credential.is_empty())
        .map(Cow::from)
        .or_else(|| {
            let (_, value) =
                query?.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == "key")?;
            Some(percent_decode_str(value).into())
        })
}

/// Checks that a call may go on, and puts the provider's stored credential where the caller's is missing.
pub(crate) fn settle(
    policy: Policy,
    provider: &Provider,
    has_own: bool,
    headers: &mut HeaderMap,
) -> Result<(), CredentialError> {
    if has_own {
        return if policy.allow_passthrough { Ok(()) } else { Err(CredentialError::PassthroughOff) };
    }
    if !policy.default_key {
        return if policy.allow_passthrough { Ok(()) } else { Err(CredentialError::Missing) };
    }
    if let Some(key) = &provider.api_key {
        let (name, value) = stored(provider, key.expose());
        if let Ok(mut value) = HeaderValue::try_from(value) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    Ok(())
}

fn stored(provider: &Provider, key: &str) -> (HeaderName, String) {
    match (&provider.api_key_header, provider.dialect) {
        (Some(name), _) if *name != AUTHORIZATION => (name.clone(), key.to_owned()),
        (None, ProviderDialect::Anthropic) => (X_API_KEY, key.to_owned()),
        (None, ProviderDialect::Gemini) => (X_GOOG_API_KEY, key.to_owned()),
        (Some(_), _) | (None, ProviderDialect::Raw | ProviderDialect::Openai | ProviderDialect::Ollama) => {
            (AUTHORIZATION, format!("Bearer {key}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, builtin_provider};

    fn provider(name: &str) -> Provider {
        Provider { api_key: Some(Secret::new("stored".to_owned())), ..builtin_provider(name).unwrap() }
    }

    fn sent(policy: Policy, name: &str, has_own: bool) -> Result<Vec<(String, String)>, CredentialError> {
        let mut headers = HeaderMap::new();
        settle(policy, &provider(name), has_own, &mut headers)?;
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
        assert_eq!(found(headers(AUTHORIZATION, ""), None), None);
        assert_eq!(found(HeaderMap::new(), Some("alt=sse")), None);
    }
}
