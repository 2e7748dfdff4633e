//! What is asked of a provider: its base URL and the caller's path, joined without touching a byte of either.

use http::Uri;
use http::uri::PathAndQuery;
use verbatim_core::model::ProviderDialect;

use crate::config::Provider;
use crate::route::{is_version, under};

/// A path that can't be asked of a provider.
#[derive(Debug, thiserror::Error)]
#[error("the path can't be forwarded: {0}")]
pub(crate) struct TargetError(#[from] http::Error);

/// The URI to call for `path` (session and provider name taken off), with the caller's query.
pub(crate) fn target(provider: &Provider, path: &str, asked: &PathAndQuery) -> Result<Uri, TargetError> {
    let base = provider.base_url.path();
    let (prefix, rest) = join(provider, base, path);
    // Mostly what was asked for is what is to be asked for: then nothing is copied.
    let unchanged = asked.path().strip_prefix(prefix).is_some_and(|tail| tail == rest);
    let path_and_query = if unchanged {
        asked.clone()
    } else {
        let mut text =
            String::with_capacity(prefix.len() + rest.len() + asked.as_str().len() - asked.path().len() + 1);
        text.push_str(prefix);
        text.push_str(rest);
        if text.is_empty() {
            text.push('/');
        }
        text.push_str(&asked.as_str()[asked.path().len()..]);
        PathAndQuery::from_maybe_shared(bytes::Bytes::from(text)).map_err(http::Error::from)?
    };
    let url = &provider.base_url;
    let uri = Uri::builder().scheme(url.scheme().clone()).authority(url.authority().clone());
    Ok(uri.path_and_query(path_and_query).build()?)
}

/// The base path that counts for this call, and what follows it.
fn join<'a>(provider: &Provider, base: &'a str, path: &'a str) -> (&'a str, &'a str) {
    // The caller gave the whole path already.
    if !base.is_empty() && under(path, base) {
        return ("", path);
    }
    // Gemini's uploads live beside its versions: /upload/v1beta/files (ai.google.dev/api/files).
    if provider.dialect == ProviderDialect::Gemini && (under(path, "/upload") || under(path, "/download")) {
        return ("", path);
    }
    let first = path[1.min(path.len())..].split('/').next().unwrap_or("");
    let rest = &path[(1 + first.len()).min(path.len())..];
    match first {
        "v1" if provider.replaces_v1 => (base, rest),
        // The version that the base URL ends in, said again.
        version if is_version(version) && base.rsplit('/').next() == Some(version) => (base, rest),
        // Another version than the base URL's: the caller knows this provider's paths.
        version if is_version(version) && version != "v1" => ("", path),
        // A bare version as base path is an OpenAI-compatible face; other APIs of that host stand beside it.
        "api" if base == "/v1" => ("", path),
        _ => (base, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BaseUrl, builtin_provider};

    fn to(provider: &Provider, path: &str, asked: &'static str) -> String {
        target(provider, path, &PathAndQuery::from_static(asked)).unwrap().to_string()
    }

    fn builtin(name: &str, path: &'static str) -> String {
        to(&builtin_provider(name).unwrap(), path, path)
    }

    #[test]
    fn the_callers_v1_gives_way_to_the_base_urls_version() {
        for (name, path, expected) in [
            ("openai", "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
            ("openai", "/chat/completions", "https://api.openai.com/v1/chat/completions"),
            ("openrouter", "/v1/models", "https://openrouter.ai/api/v1/models"),
            ("openrouter", "/api/v1/models", "https://openrouter.ai/api/v1/models"),
            ("zhipu", "/v1/chat/completions", "https://open.bigmodel.cn/api/paas/v4/chat/completions"),
            ("zhipu", "/v4/chat/completions", "https://open.bigmodel.cn/api/paas/v4/chat/completions"),
            ("perplexity", "/v1/chat/completions", "https://api.perplexity.ai/chat/completions"),
            ("cohere", "/v1/chat/completions", "https://api.cohere.ai/compatibility/v1/chat/completions"),
            ("cohere", "/v2/chat", "https://api.cohere.ai/v2/chat"),
            ("ollama", "/api/chat", "http://127.0.0.1:11434/api/chat"),
            ("ollama", "/v1/chat/completions", "http://127.0.0.1:11434/v1/chat/completions"),
            (
                "gemini",
                "/v1beta/models/g:generateContent",
                "https://generativelanguage.googleapis.com/v1beta/models/g:generateContent",
            ),
            ("gemini", "/v1alpha/models/g", "https://generativelanguage.googleapis.com/v1alpha/models/g"),
            (
                "gemini",
                "/upload/v1beta/files",
                "https://generativelanguage.googleapis.com/upload/v1beta/files",
            ),
            (
                "gemini",
                "/v1beta/openai/chat/completions",
                "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
            ),
            ("openai", "/v1", "https://api.openai.com/v1"),
            ("openai", "/", "https://api.openai.com/v1/"),
        ] {
            assert_eq!(builtin(name, path), expected, "{name} {path}");
        }
    }

    #[test]
    fn an_upstream_works_with_and_without_v1() {
        for (base, path, expected) in [
            ("http://h:1", "/v1/chat/completions", "http://h:1/v1/chat/completions"),
            ("http://h:1", "/chat/completions", "http://h:1/chat/completions"),
            ("http://h:1/v1", "/v1/chat/completions", "http://h:1/v1/chat/completions"),
            ("http://h:1/v1", "/chat/completions", "http://h:1/v1/chat/completions"),
            ("http://h:1/v1", "/v1beta/models/m", "http://h:1/v1beta/models/m"),
            ("http://h:1/v1", "/api/chat", "http://h:1/api/chat"),
            ("http://h:1/x/v1", "/v1/chat", "http://h:1/x/v1/chat"),
        ] {
            let provider = Provider::new("u", ProviderDialect::Openai, BaseUrl::parse(base).unwrap());
            assert_eq!(
                target(&provider, path, &PathAndQuery::try_from(path).unwrap()).unwrap().to_string(),
                expected
            );
        }
    }

    #[test]
    fn encoding_slashes_colons_and_query_order_are_kept() {
        let path = "/v1/a%2Fb//c:d/%7e+x";
        let asked = "/~s/openai/v1/a%2Fb//c:d/%7e+x?b=2&a=%20&b=1&";
        assert_eq!(
            to(&builtin_provider("openai").unwrap(), path, asked),
            "https://api.openai.com/v1/a%2Fb//c:d/%7e+x?b=2&a=%20&b=1&"
        );
    }
}
