//! Where a provider is.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};

use super::network::{is_local_name, is_private};

/// A provider's base URL, its version prefix included: `https://api.openai.com/v1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    path: String,
    is_local: bool,
}

/// Text that is no base URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a base URL: expected one such as https://api.openai.com/v1 ({why})")]
pub struct BaseUrlError {
    why: &'static str,
}

impl BaseUrl {
    /// Reads a base URL; a slash at its end does not count.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let error = |why| BaseUrlError { why };
        let uri: Uri = text.trim().parse().map_err(|_| error("it can't be read"))?;
        let parts = uri.into_parts();
        let scheme = parts.scheme.ok_or_else(|| error("it has no scheme"))?;
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(error("its scheme is neither http nor https"));
        }
        let authority = parts.authority.ok_or_else(|| error("it has no host"))?;
        // A credential in the URL would be shown wherever the URL is.
        if authority.as_str().contains('@') {
            return Err(error("credentials do not belong in it: use api_key"));
        }
        if authority.host().is_empty() {
            return Err(error("it has no host"));
        }
        let path = parts.path_and_query.map_or(String::new(), |path| path.as_str().to_owned());
        if path.contains('?') {
            return Err(error("it has a query"));
        }
        let is_local = is_local(authority.host());
        Ok(Self { scheme, authority, path: path.trim_end_matches('/').to_owned(), is_local })
    }

    /// `http` or `https`.
    pub const fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Host and port.
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Whether it is on this machine or its network, as far as the host itself tells.
    pub(crate) const fn is_local(&self) -> bool {
        self.is_local
    }

    /// The path without a slash at its end; empty where there is none.
    pub fn path(&self) -> &str {
        &self.path
    }
}

fn is_local(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse() {
        Ok(address) => is_private(address),
        Err(_) => is_local_name(host),
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, shown) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1"),
            (" http://127.0.0.1:11434/ ", "http://127.0.0.1:11434"),
            ("https://openrouter.ai/api/v1/", "https://openrouter.ai/api/v1"),
            ("http://[::1]:8000", "http://[::1]:8000"),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_near_is_known_by_its_host() {
        for (text, is_local) in [
            ("http://127.0.0.1:11434", true),
            ("http://[::1]:8000/v1", true),
            ("http://ollama:11434", true),
            ("https://192.168.1.2", true),
            ("https://api.openai.com/v1", false),
            ("https://[2001:db8::1]/v1", false),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().is_local(), is_local, "{text}");
        }
    }

    #[test]
    fn refuses_what_can_not_be_called() {
        for text in
            ["", "api.openai.com/v1", "ftp://x/", "https://key@x/v1", "https://x/v1?key=1", "http:///v1"]
        {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }
}
