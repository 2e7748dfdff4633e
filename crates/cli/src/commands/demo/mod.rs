//! `demo`: everything in one process, with a provider of its own and sample traffic. No API key, no network.

mod traffic;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::runtime::Handle;
use verbatim_core::model::ProviderDialect;
use verbatim_gateway::builtin_providers;
use verbatim_mock_provider::MockProvider;

use super::{Setting, runtimes};
use crate::banner;
use crate::compose::{Composition, Plan, Service};
use crate::config::{Config, Origin, ProviderSettings, Upstream};
use crate::signals::Signals;

pub(super) fn run(mut setting: Setting) -> Result<ExitCode> {
    let (logs, metrics) = setting.telemetry()?;
    // Goes with the process, unless somebody said where to keep it.
    let temporary = match setting.config.origin("data_dir") {
        Origin::Default => Some(temporary(&mut setting.config)?),
        Origin::File { .. } | Origin::Environment(_) | Origin::Flag(_) | Origin::Demo => None,
    };
    let mut held = setting.data_dir().take()?;
    held.is_temporary = temporary.is_some();
    let runtimes = runtimes()?;
    let served = runtimes.run(async |background| {
        let mut signals = Signals::listen()?;
        let Setting { mut config, environment } = setting;
        let mock = start_provider(&background).await?;
        send_all_to(&mut config, &mock.base_url())?;
        let plan = Plan {
            composition: Composition::Everything,
            config: config.clone(),
            environment,
            held: Some(held),
            metrics,
            background: background.clone(),
        };
        let Some(mut service) = Service::start(plan, &mut signals).await? else { return Ok(()) };
        let gateway = service.instance.gateway.clone();
        service.roles.add_first("sample traffic", &background, |token| traffic::send(gateway, token));
        banner::show(&config, &service);
        let ended = service.run(&mut signals).await;
        mock.shutdown().await;
        ended
    });
    runtimes.stop();
    drop((logs, temporary));
    served.map(|()| ExitCode::SUCCESS)
}

fn temporary(config: &mut Config) -> Result<TempDir> {
    let directory = tempfile::Builder::new().prefix("verbatim-demo-").tempdir();
    let directory = directory.context("a temporary directory can't be made; name one with --data-dir")?;
    config.settings.data_dir = directory.path().display().to_string();
    Ok(directory)
}

/// On the background's runtime: it must not take the relay's time.
async fn start_provider(background: &Handle) -> Result<MockProvider> {
    let starting = background.spawn(MockProvider::start(verbatim_mock_provider::Config::default()));
    starting.await?.context("the built-in provider can't start")
}

fn send_all_to(config: &mut Config, mock: &str) -> Result<()> {
    let settings = &mut config.settings;
    settings.upstream = None;
    // Sample traffic is nothing for a team's archive.
    (settings.nats.url, settings.postgres.url, settings.meilisearch.url) = (None, None, None);
    settings.default_provider = "openai".into();
    settings.providers.clear();
    // It stands for all that are known: nothing leaves this machine, whatever name a path says.
    for known in builtin_providers() {
        let base_url = format!("{mock}{}", version(known.dialect)).parse::<Upstream>();
        let provider = ProviderSettings {
            name: known.name.into(),
            dialect: known.dialect,
            base_url: base_url.ok().context("the built-in provider has no address")?,
            api_key_env: None,
            api_key_header: None,
            headers: BTreeMap::new(),
        };
        config.add_provider(provider, Origin::Demo);
    }
    Ok(())
}

/// The part of a base URL that says the version of the API.
fn version(dialect: ProviderDialect) -> &'static str {
    match dialect {
        ProviderDialect::Openai | ProviderDialect::Anthropic => "/v1",
        ProviderDialect::Gemini => "/v1beta",
        ProviderDialect::Ollama | ProviderDialect::Raw => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Unnamed;

    #[test]
    fn no_name_leads_out_of_it_whatever_is_configured() {
        let directory = tempfile::tempdir().unwrap();
        let file = "[[providers]]\nname = 'mine'\ndialect = 'openai'\nbase_url = 'https://mine.example/v1'";
        std::fs::write(directory.path().join("verbatim.toml"), file).unwrap();
        let mut config = Config::read(directory.path(), None, Unnamed::Read, &[], &BTreeMap::new()).unwrap();
        assert!(!config.is_demo());
        send_all_to(&mut config, "http://127.0.0.1:1").unwrap();
        assert!(config.is_demo());
        let gateway = config.gateway(&BTreeMap::new(), "test", [0; 32], None).unwrap();
        for name in builtin_providers().iter().map(|known| known.name) {
            let base_url = gateway.provider(name).unwrap().base_url.to_string();
            assert!(base_url.starts_with("http://127.0.0.1:1"), "{name} leads to {base_url}");
        }
        assert!(gateway.provider("mine").is_none());
    }
}
