//! Base URLs that a program would have used without Verbatim: its calls are to arrive there all the same.

use std::collections::BTreeMap;

use verbatim_core::model::ProviderDialect;
use verbatim_gateway::builtin_providers;

use super::variables::{BASE_URLS, BaseUrlVariable};
use crate::config::{Config, Origin, ProviderSettings, Upstream};

/// A base URL that is set already.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) variable: &'static str,
    provider: &'static str,
    pub(super) base_url: String,
}

/// The base URLs in the environment that lead somewhere else than to the relay at this port, one a provider.
pub(super) fn named(environment: &BTreeMap<String, String>, relay_port: u16) -> Vec<Named> {
    let mut named: Vec<Named> = Vec::new();
    for found in all(environment).filter(|found| !leads_to_relay(&found.base_url, relay_port)) {
        if !named.iter().any(|known| known.provider == found.provider) {
            named.push(found);
        }
    }
    named
}

/// Tells of those that lead to the relay itself, where no other one names the provider: a line each.
pub(super) fn left(environment: &BTreeMap<String, String>, relay_port: u16) -> Vec<String> {
    let named = named(environment, relay_port);
    all(environment)
        .filter(|found| leads_to_relay(&found.base_url, relay_port))
        .filter(|found| !named.iter().any(|known| known.provider == found.provider))
        .map(|Named { variable, provider, .. }| {
            format!("{variable} leads to this relay itself, so it does not say where calls for {provider} go")
        })
        .collect()
}

/// Every base URL that is set.
fn all(environment: &BTreeMap<String, String>) -> impl Iterator<Item = Named> {
    BASE_URLS.iter().filter_map(|&BaseUrlVariable { name: variable, provider, added, .. }| {
        let value = environment.get(variable).map(|value| value.trim()).filter(|value| !value.is_empty())?;
        Some(Named { variable, provider, base_url: complete(value, added) })
    })
}

/// Whether a variable says where calls go, and so where the keys go that are sent with them.
pub(super) fn is_upstream(variable: &str) -> bool {
    BASE_URLS.iter().any(|known| known.name == variable)
}

/// Makes those the providers' addresses. What the configuration says counts more; so does `--upstream`.
pub(super) fn adopt(config: &mut Config, environment: &BTreeMap<String, String>) {
    if config.settings.upstream.is_some() {
        return;
    }
    for Named { provider, base_url, variable } in named(environment, config.settings.gateway.listen.0.port())
    {
        let known = builtin_providers().iter().find(|known| known.name == provider);
        let configured = config.settings.providers.iter().any(|configured| configured.name == provider);
        match base_url.parse::<Upstream>() {
            Ok(base_url) if !configured => {
                tracing::info!(provider, %base_url, "taken from {variable}");
                let provider = ProviderSettings {
                    name: provider.to_owned(),
                    dialect: known.map_or(ProviderDialect::Raw, |known| known.dialect),
                    base_url,
                    api_key_env: known
                        .and_then(|known| known.key_variables.first())
                        .map(|name| (*name).to_owned()),
                    api_key_header: None,
                    headers: BTreeMap::new(),
                };
                config.add_provider(provider, Origin::Environment(variable.to_owned()));
            }
            Ok(_) => {}
            Err(_) => tracing::warn!("{variable} is no base URL, so it is left alone"),
        }
    }
}

/// As the program would complete it.
fn complete(value: &str, added: &str) -> String {
    let value = value.trim_end_matches('/');
    let scheme = if value.contains("://") { "" } else { "http://" };
    let added = if value.ends_with(added) { "" } else { added };
    format!("{scheme}{value}{added}")
}

/// Somebody who exported the relay's address before must not send the relay to itself.
fn leads_to_relay(base_url: &str, relay_port: u16) -> bool {
    let Ok(url) = base_url.parse::<url::Url>() else { return false };
    let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]" | "0.0.0.0"));
    here && url.port_or_known_default() == Some(relay_port)
}

#[cfg(test)]
mod tests {
    use super::super::variables::leading_to;
    use super::*;
    use crate::config::Unnamed;

    fn urls(variables: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        named(&environment, 8080).into_iter().map(|named| (named.provider, named.base_url)).collect()
    }

    #[test]
    fn a_base_url_is_completed_as_its_programs_do() {
        assert_eq!(
            urls(&[
                ("OPENAI_API_BASE", "https://other.example/v1"),
                ("OPENAI_BASE_URL", "https://openrouter.ai/api/v1/"),
                ("ANTHROPIC_BASE_URL", "https://proxy.example"),
                ("OLLAMA_HOST", "gpu.local:11434"),
                ("GOOGLE_GEMINI_BASE_URL", ""),
                ("GROQ_BASE_URL", "https://proxy.example"),
                ("MISTRAL_BASE_URL", "https://proxy.example/v1"),
            ]),
            [
                ("openai", "https://openrouter.ai/api/v1".into()),
                ("anthropic", "https://proxy.example/v1".into()),
                ("ollama", "http://gpu.local:11434".to_owned()),
                ("mistral", "https://proxy.example/v1".into()),
                ("groq", "https://proxy.example/openai/v1".into()),
            ]
        );
    }

    #[test]
    fn whatever_variable_leads_a_program_to_the_relay_its_former_value_stays_in_force() {
        let directory = tempfile::tempdir().unwrap();
        for variable in leading_to("http://127.0.0.1:8080", "app").into_keys() {
            let mut config =
                Config::read(directory.path(), None, Unnamed::Left, &[], &BTreeMap::new()).unwrap();
            let value = "https://other.example/base";
            adopt(&mut config, &BTreeMap::from([(variable.to_owned(), value.to_owned())]));
            let [provider] = &config.settings.providers[..] else { panic!("{variable} is not adopted") };
            assert!(provider.base_url.to_string().starts_with(value), "{variable}: {}", provider.base_url);
            assert!(builtin_providers().iter().any(|known| known.name == provider.name), "{variable}");
            assert!(is_upstream(variable), "{variable}");
        }
    }

    #[test]
    fn the_relay_is_never_sent_to_itself() {
        assert_eq!(urls(&[("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1")]), []);
        assert_eq!(urls(&[("ANTHROPIC_BASE_URL", "http://localhost:8080/~old")]), []);
        assert_eq!(urls(&[("OPENAI_BASE_URL", "http://localhost:1234/v1")]).len(), 1);
    }
}
