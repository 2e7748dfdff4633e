//! What is said once everything runs.

use std::fmt::Write;

use crate::compose::Service;
use crate::config::{Config, LogFormatSetting, Origin, Settings};
use crate::{shell, terminal};

/// Says where things are: in a few lines for people, or in one for collectors.
pub(crate) fn show(config: &Config, service: &Service) {
    match config.settings.log.format {
        LogFormatSetting::Text => terminal::out(text(config, service)),
        LogFormatSetting::Json => tracing::info!(
            relay = relay(service),
            dashboard = service.instance.web,
            health = service.probes,
            data = data(service),
            "ready"
        ),
    }
}

fn relay(service: &Service) -> Option<&str> {
    Some(service.instance.gateway.as_str()).filter(|relay| !relay.is_empty())
}

fn data(service: &Service) -> Option<String> {
    service.held.as_ref().map(|held| held.directory.root().display().to_string())
}

fn text(config: &Config, service: &Service) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            // Writing to a string can't fail.
            let _ = writeln!(text, "  {name:<10} {value}");
        }
    };
    row("relay", relay(service));
    row("dashboard", service.instance.web.as_deref());
    row("health", service.probes.as_deref());
    row("calls to", relay(service).map(|_| upstream(config)).as_deref());
    row("engines", engines(&config.settings).as_deref());
    let temporary = service.held.as_ref().is_some_and(|held| held.is_temporary);
    let deleted = if temporary { ", deleted at the end" } else { "" };
    row("data", data(service).map(|data| data + deleted).as_deref());
    row("settings", config.file.as_ref().map(|file| file.display().to_string()).as_deref());
    let mut hints = String::new();
    if let Some(relay) = relay(service) {
        let _ = writeln!(hints, "\n  Point a client at it:  export OPENAI_BASE_URL={relay}/v1");
        // It shows what the program did.
        if service.instance.web.is_some() {
            let elsewhere = temporary || config.origin("data_dir") != Origin::Default;
            let held = service.held.as_ref().filter(|_| elsewhere);
            let directory = held.map(|held| format!("--data-dir {} ", shell::word(held.directory.root())));
            let directory = directory.unwrap_or_default();
            let _ = writeln!(hints, "  Or run a program:      verbatim {directory}run -- python app.py");
        }
        if config.is_demo() {
            let keys = "OPENAI_API_KEY=demo ANTHROPIC_API_KEY=demo GEMINI_API_KEY=demo";
            let _ = writeln!(hints, "  Any text is a key:     export {keys}");
        }
    }
    format!("\nVerbatim {}\n\n{text}{hints}", service.instance.version)
}

fn upstream(config: &Config) -> String {
    match &config.settings.upstream {
        _ if config.is_demo() => "the built-in provider (answers are made up)".to_owned(),
        Some(upstream) => upstream.to_string(),
        None => format!("{}, unless their path says otherwise", config.settings.default_provider),
    }
}

/// The engines that are configured, without their secrets.
fn engines(settings: &Settings) -> Option<String> {
    let urls = [&settings.nats.url, &settings.postgres.url, &settings.meilisearch.url];
    let urls: Vec<String> = urls.into_iter().flatten().map(ToString::to_string).collect();
    (!urls.is_empty()).then(|| urls.join(", "))
}
