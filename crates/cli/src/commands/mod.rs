//! One command, one file.

mod backup;
mod completions;
mod config;
mod demo;
mod doctor;
mod export;
mod import;
mod migrate;
mod reindex;
mod role;
mod run;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use verbatim_telemetry::{Level, LogFormat, Logs, Metrics, log_panics};

use crate::args::{Arguments, Command, Common, ConfigCommand};
use crate::compose::Composition;
use crate::config::{Config, LogFormatSetting, Unnamed, environment};
use crate::data_dir::DataDir;
use crate::runtimes::Runtimes;

/// Level `info`, as far as adapters don't tell the same.
const QUIET: &str = "info,async_nats=warn,deadpool.postgres=error";

/// Does what the command line says.
pub(crate) fn dispatch(arguments: Arguments) -> Result<ExitCode> {
    let common = &arguments.common;
    match arguments.command.unwrap_or(Command::Up) {
        Command::Up => role::run(Setting::read(common)?, Composition::Everything),
        Command::Gateway => role::run(Setting::read(common)?, Composition::Gateway),
        Command::Recorder => role::run(Setting::read(common)?, Composition::Recorder),
        Command::Indexer => role::run(Setting::read(common)?, Composition::Indexer),
        Command::Web => role::run(Setting::read(common)?, Composition::Web),
        Command::Migrate => migrate::run(&Setting::read(common)?),
        Command::Config { command: ConfigCommand::Check } => config::check(&Setting::read(common)?),
        Command::Completions { shell } => Ok(completions::print(shell)),
        Command::Demo => demo::run(Setting::read(common)?),
        Command::Run { command } => run::run(Setting::read_named(common)?, command),
        Command::Doctor { call } => doctor::run(&Setting::read(common)?, call),
        Command::Backup { directory } => backup::run(&Setting::read(common)?, &directory),
        Command::Reindex => reindex::run(&Setting::read(common)?),
        Command::Export { query, format, include, output } => {
            let format = verbatim_web::ExportFormat::of(&format, include.as_deref())?;
            let asked = export::Asked { query: &query, format, output: &output };
            export::run(&Setting::read(common)?, &asked)
        }
        Command::Import { from_data_dir } => import::run(&Setting::read(common)?, &from_data_dir),
    }
}

/// What every command starts from: the settings in force, and the environment they were read from.
pub(crate) struct Setting {
    pub(crate) config: Config,
    pub(crate) environment: BTreeMap<String, String>,
}

impl Setting {
    fn read(common: &Common) -> Result<Self> {
        let environment = environment::with_dotenv(here()).map_err(crate::config::Invalid::from)?;
        Self::of(common, Unnamed::Read, environment)
    }

    /// The same without files of the working directory that nobody named.
    fn read_named(common: &Common) -> Result<Self> {
        Self::of(common, Unnamed::Left, environment::of_process())
    }

    fn of(common: &Common, unnamed: Unnamed, environment: BTreeMap<String, String>) -> Result<Self> {
        let config = Config::read(here(), common.config.as_deref(), unnamed, &common.flags(), &environment)?;
        Ok(Self { config, environment })
    }

    fn data_dir(&self) -> DataDir {
        DataDir::at(&self.config.settings.data_dir)
    }

    fn log_format(&self) -> LogFormat {
        match self.config.settings.log.format {
            LogFormatSetting::Text => LogFormat::Text,
            LogFormatSetting::Json => LogFormat::Json,
        }
    }

    /// Which log lines are written. Clients of engines tell at level `info` what their adapters tell, too.
    fn log_level(&self) -> Level {
        let level = self.config.settings.log.level.0.clone();
        match level.to_string().eq_ignore_ascii_case("info") {
            true => QUIET.parse().unwrap_or(level),
            false => level,
        }
    }

    /// Starts logs and metrics. Logs end, written out, when the result is dropped.
    fn telemetry(&self) -> Result<(Logs, Metrics)> {
        let logs = Logs::start(&self.log_level(), self.log_format())?;
        log_panics();
        Ok((logs, Metrics::start()?))
    }
}

/// Starts the runtimes.
fn runtimes() -> Result<Runtimes> {
    Runtimes::start().context("could not start threads")
}

/// The working directory.
fn here() -> &'static Path {
    Path::new(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quiet_is_a_level() {
        assert!(QUIET.parse::<Level>().is_ok());
    }
}
