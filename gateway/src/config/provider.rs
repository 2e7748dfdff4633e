//! An upstream.

use http::{HeaderName, HeaderValue};
use verbatim_core::model::ProviderDialect;

use super::{BaseUrl, ConfigError, Secret};

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
        }
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
