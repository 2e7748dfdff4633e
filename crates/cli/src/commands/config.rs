//! `config check`: every setting in force, and where its value comes from.

use std::process::ExitCode;

use anyhow::Result;

use super::Setting;
use crate::terminal;

pub(super) fn check(setting: &Setting) -> Result<ExitCode> {
    let entries = setting.config.entries();
    let width = |of: fn(&crate::config::Entry) -> usize| entries.iter().map(of).max().unwrap_or_default();
    let (keys, values) = (width(|entry| entry.key.len()), width(|entry| entry.value.len()));
    for entry in &entries {
        terminal::out(format_args!("{:<keys$}  {:<values$}  {}", entry.key, entry.value, entry.origin));
    }
    let file = setting.config.file.as_ref().map_or("none".into(), |file| file.display().to_string());
    terminal::out(format_args!("\nvalid; configuration file: {file}"));
    Ok(ExitCode::SUCCESS)
}
