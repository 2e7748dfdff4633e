//! One tiny call through the relay, to see the whole way work.

use anyhow::Result;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use serde_json::json;
use verbatim_core::model::ProviderDialect;
use verbatim_gateway::Provider;

use super::super::Setting;
use super::Finding;
use crate::client::Client;
use crate::data_dir::Instance;

const ABOUT: &str = "call";

/// Small models of providers that have no list to choose from without guessing.
const SMALL: &[(&str, &str)] = &[
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-haiku-4-5"),
    ("gemini", "gemini-2.5-flash-lite"),
    ("openrouter", "openai/gpt-4o-mini"),
    ("deepseek", "deepseek-chat"),
    ("mistral", "mistral-small-latest"),
    ("groq", "llama-3.1-8b-instant"),
    ("xai", "grok-3-mini"),
    ("dashscope", "qwen-turbo"),
    ("moonshot", "moonshot-v1-8k"),
];

/// Makes the call with the default provider's own key, as a caller would.
pub(super) async fn through_relay(
    client: &Client,
    setting: &Setting,
    instance: Option<&Instance>,
) -> Result<Finding> {
    let Some(instance) = instance else {
        return Ok(Finding::bad(ABOUT, "no instance runs: start `verbatim up`, then try again"));
    };
    let config = setting.config.gateway(&setting.environment, "doctor", [0; 32], None)?;
    let provider = config.upstream.clone().or_else(|| config.provider(&config.default_provider));
    let Some(provider) = provider else { return Ok(Finding::bad(ABOUT, "there is no default provider")) };
    let answer = match client.ask(request(&instance.gateway, &provider, config.upstream.is_none())?).await {
        Ok(answer) => answer,
        Err(error) => return Ok(Finding::bad(ABOUT, format!("{error:#}"))),
    };
    let Some(id) = answer.headers.get("x-verbatim-id").and_then(|id| id.to_str().ok()) else {
        let text =
            format!("{} did not answer as a relay does; does something else listen there?", instance.gateway);
        return Ok(Finding::bad(ABOUT, text));
    };
    let name = &provider.name;
    Ok(match answer.status {
        status if status.is_success() => {
            Finding::good(ABOUT, format!("{name} answered {status}; recorded as {id}"))
        }
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Finding::bad(
            ABOUT,
            format!(
                "{name} answered {status}: its key is missing or refused; set it in the environment or in .env"
            ),
        ),
        status => Finding::bad(
            ABOUT,
            format!("{name} answered {status}; the dashboard shows why at /exchanges/{id}"),
        ),
    })
}

fn request(gateway: &str, provider: &Provider, by_name: bool) -> Result<Request<Full<Bytes>>> {
    let name = &provider.name;
    let model = SMALL.iter().find(|(known, _)| known == name).map_or("default", |(_, model)| model);
    let base = if by_name { format!("{gateway}/~doctor/{name}") } else { format!("{gateway}/~doctor") };
    let messages = json!([{ "role": "user", "content": "ping" }]);
    let (url, body) = match provider.dialect {
        ProviderDialect::Anthropic => {
            (format!("{base}/v1/messages"), json!({ "model": model, "max_tokens": 1, "messages": messages }))
        }
        ProviderDialect::Gemini => (
            format!("{base}/v1beta/models/{model}:generateContent"),
            json!({ "contents": [{ "parts": [{ "text": "ping" }] }], "generationConfig": { "maxOutputTokens": 1 } }),
        ),
        ProviderDialect::Ollama => (format!("{base}/api/tags"), json!(null)),
        ProviderDialect::Openai | ProviderDialect::Raw => (
            format!("{base}/v1/chat/completions"),
            json!({ "model": model, "max_tokens": 1, "messages": messages }),
        ),
    };
    let method = if body.is_null() { Method::GET } else { Method::POST };
    let mut request = Request::builder()
        .method(method)
        .uri(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-title", "verbatim doctor");
    if provider.dialect == ProviderDialect::Anthropic {
        request = request.header("anthropic-version", "2023-06-01");
    }
    if let Some((name, value)) = provider.credential_header() {
        request = request.header(name, value);
    }
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    Ok(request.body(Full::new(body))?)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use verbatim_gateway::{BaseUrl, Secret};

    use super::*;

    #[test]
    fn the_call_carries_what_the_relay_would_send() {
        let provider = |dialect, header: Option<&'static str>| Provider {
            api_key: Some(Secret::new("k".to_owned())),
            api_key_header: header.map(HeaderName::from_static),
            ..Provider::new("x", dialect, BaseUrl::parse("http://x/v1").unwrap())
        };
        let sent = |provider: &Provider, name: &str| {
            let request = request("http://127.0.0.1:1", provider, true).unwrap();
            request.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let openai = provider(ProviderDialect::Openai, Some("authorization"));
        assert_eq!(sent(&openai, "authorization").as_deref(), Some("Bearer k"));
        assert_eq!(sent(&openai, "anthropic-version"), None);
        let anthropic = provider(ProviderDialect::Anthropic, Some("api-key"));
        assert_eq!(sent(&anthropic, "api-key").as_deref(), Some("k"));
        assert!(sent(&anthropic, "anthropic-version").is_some(), "whatever carries the key");
        let keyless = Provider { api_key: None, ..anthropic };
        assert!(sent(&keyless, "anthropic-version").is_some(), "also without a key");
    }
}
