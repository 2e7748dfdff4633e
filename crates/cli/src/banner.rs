//! What is said once everything runs.

use std::fmt::Write;

use crate::config::{Config, LogFormatSetting};
use crate::data_dir::{DataDir, Instance};
use crate::terminal;

/// Says where things are: in a few lines for people, or in one for collectors.
pub(crate) fn show(config: &Config, directory: &DataDir, instance: &Instance) {
    match config.settings.log.format {
        LogFormatSetting::Text => terminal::out(text(config, directory, instance)),
        LogFormatSetting::Json => tracing::info!(
            relay = instance.gateway,
            dashboard = instance.web,
            data = %directory.root().display(),
            "ready"
        ),
    }
}

fn text(config: &Config, directory: &DataDir, instance: &Instance) -> String {
    let Instance { gateway, web, version, .. } = instance;
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        // Writing to a string can't fail.
        let _ = writeln!(text, "  {name:<10} {value}");
    };
    row("relay", gateway);
    if let Some(web) = web {
        row("dashboard", web);
    }
    row("calls to", &upstream(config));
    row("data", &directory.root().display().to_string());
    if let Some(file) = &config.file {
        row("settings", &file.display().to_string());
    }
    format!(
        "\nVerbatim {version}\n\n{text}\n  Point a client at it:  export OPENAI_BASE_URL={gateway}/v1\n  Or run a program:      \
         verbatim run -- python app.py\n"
    )
}

fn upstream(config: &Config) -> String {
    match &config.settings.upstream {
        Some(upstream) => upstream.to_string(),
        None => format!("{}, unless their path says otherwise", config.settings.default_provider),
    }
}
