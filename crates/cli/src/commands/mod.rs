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
use verbatim_telemetry::{LogFormat, Logs, Metrics, log_panics};

use crate::args::{Arguments, Command, Common, ConfigCommand};
use crate::compose::Composition;
use crate::config::{Config, LogFormatSetting, Unnamed, environment};
use crate::data_dir::DataDir;
use crate::runtimes::Runtimes;

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

    /// Starts logs and metrics. Logs end, written out, when the result is dropped.
    fn telemetry(&self) -> Result<(Logs, Metrics)> {
        let logs = Logs::start(&self.config.settings.log.level.0, self.log_format())?;
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
