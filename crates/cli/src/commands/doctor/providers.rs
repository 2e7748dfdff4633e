//! Whether providers can be reached: name, route, TLS, HTTP. No key is sent.

use anyhow::Result;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use tokio::task::JoinSet;
use verbatim_gateway::{GatewayConfig, Provider};

use super::super::Setting;
use super::Finding;
use crate::client::Client;

/// Tries the provider that gets what no path decides, the configured ones, and those whose key variable is set.
pub(super) async fn reachable(client: &Client, setting: &Setting) -> Result<Vec<Finding>> {
    let config = setting.config.gateway(&setting.environment, "doctor", [0; 32], None)?;
    let mut tries = JoinSet::new();
    for (place, provider) in used(&config).into_iter().enumerate() {
        let client = client.clone();
        tries.spawn(async move { (place, reach(&client, &provider).await) });
    }
    let mut findings = tries.join_all().await;
    findings.sort_by_key(|(place, _)| *place);
    Ok(findings.into_iter().map(|(_, finding)| finding).collect())
}

/// A demo's own provider stands for every other: no other need be there.
pub(super) fn of_demo() -> Finding {
    Finding::good("providers", "a demo runs here, whose built-in provider answers; no other is called")
}

fn used(config: &GatewayConfig) -> Vec<Provider> {
    if let Some(upstream) = &config.upstream {
        return vec![upstream.clone()];
    }
    let mut used: Vec<Provider> = config.provider(&config.default_provider).into_iter().collect();
    let others = config.providers.iter().filter(|provider| provider.name != config.default_provider);
    used.extend(others.cloned());
    used
}

async fn reach(client: &Client, provider: &Provider) -> Finding {
    let url = provider.base_url.to_string();
    let request = Request::builder().method(Method::HEAD).uri(&url).body(Full::<Bytes>::default());
    let asked = match request {
        Ok(request) => client.ask(request).await,
        Err(error) => Err(error.into()),
    };
    match asked {
        // Whatever it says without a key and a path: it is there.
        Ok(_) if provider.api_key.is_some() => {
            Finding::good(&provider.name, format!("{url} answers; a key is set"))
        }
        Ok(_) => {
            Finding::good(&provider.name, format!("{url} answers; no key is set, callers send their own"))
        }
        Err(error) => Finding::bad(
            &provider.name,
            format!(
                "{error:#}; check base_url, network, proxy and firewall (calls to it will fail with 502)"
            ),
        ),
    }
}
