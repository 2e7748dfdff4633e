//! Where a call goes: the routing table, as a pure function of path and headers.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;
use verbatim_core::model::ProviderDialect;

use crate::config::{GatewayConfig, Provider};

/// A session's name in a path may be so long.
const SESSION_LEN: usize = 256;

/// Where a call goes.
#[derive(Debug, Clone)]
pub(crate) enum Route<'a> {
    /// To the gateway itself.
    Own(OwnEndpoint),
    /// To a provider.
    Forward(Forward<'a>),
    /// Nowhere: no provider can be told from it.
    Refused {
        /// What was wrong and what is expected.
        message: String,
        /// The session named in the path.
        session: Option<&'a str>,
    },
}

/// A call to a provider.
#[derive(Debug, Clone)]
pub(crate) struct Forward<'a> {
    /// The provider.
    pub(crate) provider: Arc<Provider>,
    /// The rest of the path, without session and provider name; it begins with a slash.
    pub(crate) path: &'a str,
    /// The session named in the path, still percent-encoded.
    pub(crate) session: Option<&'a str>,
}

/// What the gateway itself answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnEndpoint {
    /// What this is.
    Root,
    /// Whether the process lives.
    Live,
    /// Whether calls can be taken and recorded.
    Ready,
}

/// The routing table of one configuration.
#[derive(Debug)]
pub(crate) struct Routes {
    providers: HashMap<String, Arc<Provider>>,
    default: Option<Arc<Provider>>,
    upstream: Option<Arc<Provider>>,
}

impl Routes {
    pub(crate) fn new(config: &GatewayConfig) -> Self {
        let providers: HashMap<_, _> =
            config.all_providers().map(|provider| (provider.name.clone(), Arc::new(provider))).collect();
        let default = providers.get(&config.default_provider).cloned();
        Self { default, upstream: config.upstream.clone().map(Arc::new), providers }
    }

    /// Finds where a call goes; the first rule that fits wins.
    pub(crate) fn find<'a>(&self, get: bool, path: &'a str, headers: &HeaderMap) -> Route<'a> {
        if get && let Some(own) = own_endpoint(path) {
            return Route::Own(own);
        }
        let (session, path) = match split_session(path) {
            Ok(split) => split,
            Err(message) => return Route::Refused { message, session: None },
        };
        if get
            && session.is_some()
            && let Some(own) = own_endpoint(path)
        {
            return Route::Own(own);
        }
        match self.provider(path, headers) {
            Ok((provider, path)) => Route::Forward(Forward { provider: Arc::clone(provider), path, session }),
            Err(message) => Route::Refused { message, session },
        }
    }

    fn provider<'s, 'a>(
        &'s self,
        path: &'a str,
        headers: &HeaderMap,
    ) -> Result<(&'s Arc<Provider>, &'a str), String> {
        let named = self.named(path);
        if let Some(upstream) = &self.upstream {
            return Ok((upstream, named.map_or(path, |(_, rest)| rest)));
        }
        if under(path, "/openai/deployments") {
            return self.known("azure").map(|azure| (azure, path));
        }
        if let Some(named) = named {
            return Ok(named);
        }
        let anthropic_header = headers.contains_key("anthropic-version");
        let to = if under(path, "/v1/messages")
            || (anthropic_header && (under(path, "/v1/models") || under(path, "/v1/files")))
        {
            "anthropic"
        } else if under(path, "/v1beta") || headers.contains_key("x-goog-api-key") {
            "gemini"
        } else if ["/api/chat", "/api/generate", "/api/tags", "/api/embed", "/api/embeddings"]
            .into_iter()
            .any(|root| under(path, root))
        {
            "ollama"
        } else {
            return self.default(path).map(|default| (default, path));
        };
        self.known(to).map(|provider| (provider, path))
    }

    fn default(&self, path: &str) -> Result<&Arc<Provider>, String> {
        let default = self.default.as_ref().ok_or("no default provider is configured")?;
        match stray_prefix(path) {
            Some(prefix) if !under(default.base_url.path(), &path[..=prefix.len()]) => {
                Err(format!("unknown provider {prefix:?}: expected one of {}", self.names().join(", ")))
            }
            _ => Ok(default),
        }
    }

    /// The provider that the first segment names, and the rest of the path.
    fn named<'a>(&self, path: &'a str) -> Option<(&Arc<Provider>, &'a str)> {
        let after = path.strip_prefix('/')?;
        let (first, rest) = after.find('/').map_or((after, "/"), |slash| after.split_at(slash));
        Some((self.providers.get(first)?, rest))
    }

    fn known(&self, name: &str) -> Result<&Arc<Provider>, String> {
        self.providers.get(name).ok_or_else(|| {
            format!("provider {name:?} is not configured: add it under [[providers]] with its base_url")
        })
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.providers.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}

/// The dialect that the caller seems to speak, where no provider says it.
pub(crate) fn guess_dialect(path: &str, headers: &HeaderMap) -> ProviderDialect {
    if path.contains("/v1/messages") || headers.contains_key("anthropic-version") {
        ProviderDialect::Anthropic
    } else if path.contains("/v1beta/") || headers.contains_key("x-goog-api-key") {
        ProviderDialect::Gemini
    } else if path.starts_with("/api/") {
        ProviderDialect::Ollama
    } else {
        ProviderDialect::Openai
    }
}

fn own_endpoint(path: &str) -> Option<OwnEndpoint> {
    match path {
        "/" => Some(OwnEndpoint::Root),
        "/health" | "/healthz" | "/livez" => Some(OwnEndpoint::Live),
        "/readyz" => Some(OwnEndpoint::Ready),
        _ => None,
    }
}

/// Takes `/~<session>` off a path.
fn split_session(path: &str) -> Result<(Option<&str>, &str), String> {
    let Some(after) = path.strip_prefix("/~") else { return Ok((None, path)) };
    let (session, rest) = after.find('/').map_or((after, "/"), |slash| after.split_at(slash));
    if session.is_empty() || session.len() > SESSION_LEN {
        let length = session.len();
        return Err(format!(
            "a session in a path has 1 to {SESSION_LEN} characters, this one {length}: /~<session>/v1/..."
        ));
    }
    Ok((Some(session), rest))
}

/// A first segment that stands where a provider's name would: before a version.
fn stray_prefix(path: &str) -> Option<&str> {
    let (first, rest) = path.strip_prefix('/')?.split_once('/')?;
    let second = rest.split('/').next()?;
    (is_version(second) && !is_version(first) && !first.is_empty()).then_some(first)
}

/// Whether a path segment is a version such as `v1` or `v1beta`.
pub(crate) fn is_version(segment: &str) -> bool {
    let mut bytes = segment.bytes();
    bytes.next() == Some(b'v')
        && bytes.next().is_some_and(|byte| byte.is_ascii_digit())
        && bytes.all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether `path` is `root` or below it.
pub(crate) fn under(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
