use http::HeaderValue;

use super::*;
use crate::config::BaseUrl;

fn config() -> GatewayConfig {
    GatewayConfig::new(([127, 0, 0, 1], 0).into(), "g-1", [7; 32])
}

fn provider(name: &str, dialect: ProviderDialect, url: &str) -> Provider {
    Provider::new(name, dialect, BaseUrl::parse(url).unwrap())
}

fn find(config: &GatewayConfig, method: &str, path: &str, headers: &[&'static str]) -> String {
    let headers =
        headers.iter().map(|name| (http::HeaderName::from_static(name), HeaderValue::from_static("x")));
    match Routes::new(config).find(method == "GET", path, &headers.collect()) {
        Route::Own(own) => format!("{own:?}"),
        Route::Forward(Forward { provider, path, session: None }) => format!("{} {path}", provider.name),
        Route::Forward(Forward { provider, path, session: Some(session) }) => {
            format!("{} {path} in {session}", provider.name)
        }
        Route::Refused { message, .. } => message,
    }
}

#[test]
fn the_table_holds_row_by_row() {
    let config = config();
    for (method, path, headers, expected) in [
        ("GET", "/", &[][..], "Root"),
        ("GET", "/health", &[], "Live"),
        ("GET", "/healthz", &[], "Live"),
        ("GET", "/livez", &[], "Live"),
        ("GET", "/readyz", &[], "Ready"),
        ("POST", "/health", &[], "openai /health"),
        ("POST", "/~abc/v1/chat/completions", &[], "openai /v1/chat/completions in abc"),
        ("POST", "/~a%20b/anthropic/v1/messages", &[], "anthropic /v1/messages in a%20b"),
        ("POST", "/anthropic/v1/messages", &[], "anthropic /v1/messages"),
        ("POST", "/groq/openai/v1/chat/completions", &[], "groq /openai/v1/chat/completions"),
        ("GET", "/openai", &[], "openai /"),
        ("POST", "/v1/messages", &[], "anthropic /v1/messages"),
        ("POST", "/v1/messages/count_tokens", &[], "anthropic /v1/messages/count_tokens"),
        ("POST", "/v1/messagesque", &[], "openai /v1/messagesque"),
        ("GET", "/v1/models", &["anthropic-version"], "anthropic /v1/models"),
        ("GET", "/v1/files/f1", &["anthropic-version"], "anthropic /v1/files/f1"),
        ("GET", "/v1/models", &[], "openai /v1/models"),
        ("POST", "/v1beta/models/g:generateContent", &[], "gemini /v1beta/models/g:generateContent"),
        ("POST", "/v1/models/g:countTokens", &["x-goog-api-key"], "gemini /v1/models/g:countTokens"),
        ("POST", "/api/chat", &[], "ollama /api/chat"),
        ("POST", "/api/generate", &[], "ollama /api/generate"),
        ("GET", "/api/tags", &[], "ollama /api/tags"),
        ("POST", "/api/embed", &[], "ollama /api/embed"),
        ("POST", "/api/embeddings", &[], "ollama /api/embeddings"),
        ("POST", "/v1/chat/completions", &[], "openai /v1/chat/completions"),
        ("POST", "/chat/completions", &[], "openai /chat/completions"),
        ("OPTIONS", "/v1/chat/completions", &[], "openai /v1/chat/completions"),
        ("POST", "//v1//chat", &[], "openai //v1//chat"),
    ] {
        assert_eq!(find(&config, method, path, headers), expected, "{method} {path} {headers:?}");
    }
}

#[test]
fn azure_deployments_go_to_the_configured_azure() {
    let mut config = config();
    let path = "/openai/deployments/d/chat/completions";
    assert!(find(&config, "POST", path, &[]).contains("\"azure\" is not configured"));
    config.providers.push(provider("azure", ProviderDialect::Openai, "https://me.openai.azure.com"));
    assert_eq!(find(&config, "POST", path, &[]), format!("azure {path}"));
}

#[test]
fn one_upstream_takes_every_path_and_drops_a_provider_name() {
    let mut config = config();
    config.upstream = Some(provider("upstream", ProviderDialect::Openai, "http://127.0.0.1:1/v1"));
    for (path, expected) in [
        ("/v1/messages", "upstream /v1/messages"),
        ("/anthropic/v1/messages", "upstream /v1/messages"),
        ("/openai/deployments/d/chat", "upstream /deployments/d/chat"),
        ("/nobody/v1/chat", "upstream /nobody/v1/chat"),
        ("/~s/api/chat", "upstream /api/chat in s"),
    ] {
        assert_eq!(find(&config, "POST", path, &["x-goog-api-key"]), expected, "{path}");
    }
}

#[test]
fn a_prefix_that_names_no_provider_is_refused_with_those_that_are_known() {
    let mut config = config();
    let message = find(&config, "POST", "/opnai/v1/chat/completions", &[]);
    assert!(message.starts_with("unknown provider \"opnai\": expected one of anthropic,"), "{message}");
    // The default provider's own prefix is no provider's name.
    config.default_provider = "openrouter".to_owned();
    assert_eq!(find(&config, "POST", "/api/v1/chat/completions", &[]), "openrouter /api/v1/chat/completions");
}

#[test]
fn a_session_must_have_a_name() {
    assert!(find(&config(), "GET", "/~/v1/models", &[]).contains("1 to 256 characters"));
    assert!(find(&config(), "GET", &format!("/~{}/v1", "x".repeat(300)), &[]).contains("this one 300"));
    assert_eq!(find(&config(), "POST", "/~s", &[]), "openai / in s");
}

#[test]
fn the_callers_dialect_shows_in_path_and_headers() {
    let none = HeaderMap::new();
    assert_eq!(guess_dialect("/x/v1/messages", &none), ProviderDialect::Anthropic);
    assert_eq!(guess_dialect("/x/v1beta/models/m", &none), ProviderDialect::Gemini);
    assert_eq!(guess_dialect("/api/chat", &none), ProviderDialect::Ollama);
    assert_eq!(guess_dialect("/x/v1/chat/completions", &none), ProviderDialect::Openai);
}
