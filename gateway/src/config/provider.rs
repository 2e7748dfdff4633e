//! An upstream.

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use verbatim_core::model::ProviderDialect;

use super::{BaseUrl, ConfigError, Secret};
use crate::headers::{X_API_KEY, X_GOOG_API_KEY};

/// An upstream that calls can be forwarded to.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name: the first segment of paths that go to it.
    pub name: String,
    /// The wire language it speaks.
    pub dialect: ProviderDialect,
    /// Where it is.
    pub base_url: BaseUrl,
    /// Whether a caller's leading `/v1` gives way to the base URL's path; otherwise it stays.
    pub replaces_v1: bool,
    /// The credential to use where a caller has none of its own, if that is allowed.
    pub api_key: Option<Secret<String>>,
    /// The header that carries the credential, where it is not the usual one of the dialect.
    pub api_key_header: Option<HeaderName>,
    /// Headers that are set on every call to it.
    pub headers: Vec<(HeaderName, Secret<HeaderValue>)>,
    /// Whether it is as it is built in, and nobody said that it is wanted.
    pub is_builtin: bool,
}

impl Provider {
    /// A provider without credential and headers of its own.
    pub fn new(name: impl Into<String>, dialect: ProviderDialect, base_url: BaseUrl) -> Self {
        Self {
            name: name.into(),
            dialect,
            replaces_v1: !base_url.path().is_empty(),
            base_url,
            api_key: None,
            api_key_header: None,
            headers: Vec::new(),
            is_builtin: false,
        }
    }

    /// The header that carries the stored credential to the provider: the configured one, or the usual one of its dialect.
    /// In `authorization` it is a bearer; elsewhere it stands alone. `None` where no credential is stored, or one that
    /// fits no header.
    pub fn credential_header(&self) -> Option<(HeaderName, HeaderValue)> {
        let key = self.api_key.as_ref()?.expose();
        let usual = match self.dialect {
            ProviderDialect::Anthropic => X_API_KEY,
            ProviderDialect::Gemini => X_GOOG_API_KEY,
            ProviderDialect::Raw | ProviderDialect::Openai | ProviderDialect::Ollama => AUTHORIZATION,
        };
        let name = self.api_key_header.clone().unwrap_or(usual);
        let value = if name == AUTHORIZATION { format!("Bearer {key}") } else { key.to_owned() };
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.is_empty() || !self.name.chars().all(word) {
            let expected = "letters, digits, '-', '_' and '.': it is a segment of paths";
            return Err(ConfigError::new("providers.name", &self.name, expected));
        }
        if let Some(key) = &self.api_key
            && (key.expose().is_empty() || HeaderValue::from_str(key.expose()).is_err())
        {
            return Err(ConfigError::new(
                "providers.api_key",
                "(secret)",
                "printable characters, no line breaks",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_goes_where_it_is_configured_or_else_where_the_dialect_has_it() {
        let sent = |dialect, header: Option<&'static str>| {
            let provider = Provider {
                api_key: Some(Secret::new("k".to_owned())),
                api_key_header: header.map(HeaderName::from_static),
                ..Provider::new("x", dialect, BaseUrl::parse("http://x/v1").unwrap())
            };
            let (name, value) = provider.credential_header().unwrap();
            assert!(value.is_sensitive());
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (dialect, usual) in [
            (ProviderDialect::Openai, pair("authorization", "Bearer k")),
            (ProviderDialect::Raw, pair("authorization", "Bearer k")),
            (ProviderDialect::Anthropic, pair("x-api-key", "k")),
            (ProviderDialect::Gemini, pair("x-goog-api-key", "k")),
        ] {
            assert_eq!(sent(dialect, None), usual);
            assert_eq!(sent(dialect, Some("api-key")), pair("api-key", "k"));
            assert_eq!(sent(dialect, Some("authorization")), pair("authorization", "Bearer k"));
        }
        let none = Provider::new("x", ProviderDialect::Openai, BaseUrl::parse("http://x/v1").unwrap());
        assert_eq!(none.credential_header(), None);
    }

    #[test]
    fn a_name_must_fit_a_path_and_a_key_a_header() {
        let url = BaseUrl::parse("http://x/v1").unwrap();
        let provider = |name: &str| Provider::new(name, ProviderDialect::Openai, url.clone());
        assert_eq!(provider("my-own_1.x").validate(), Ok(()));
        assert!(provider("a/b").validate().is_err());
        assert!(provider("").validate().is_err());
        let bad = Provider { api_key: Some(Secret::new("a\nb".to_owned())), ..provider("x") };
        let error = bad.validate().unwrap_err();
        assert!(!error.to_string().contains("a\nb"), "{error}");
    }
}
