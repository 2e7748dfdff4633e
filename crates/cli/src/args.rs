//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Flag;

/// Verbatim stands between applications and LLM providers: it forwards every call unchanged and keeps an exact,
/// searchable record of it.
#[derive(Debug, Parser)]
#[command(
    name = "verbatim",
    version,
    about = "Relays calls to LLM providers and keeps an exact, searchable record of each",
    after_help = "Without a command, `up` is meant. Every setting has an environment form, VERBATIM_SECTION__NAME; \
                  a flag counts more than the environment, that more than the file."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What every command understands.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct Common {
    /// Configuration file (TOML) [default: verbatim.toml, if there is one; of `run`: none]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where everything is kept [default: verbatim-data; of `demo`: a temporary directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
    /// Where the relay listens [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) gateway_addr: Option<String>,
    /// Where API and dashboard listen [default: 127.0.0.1:8081]
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) web_addr: Option<String>,
    /// Provider of calls that no path decides [default: openai]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) default_provider: Option<String>,
    /// Send every call, whatever its path, to this base URL, with or without /v1
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// error, warn, info, debug, trace, off, or directives such as info,verbatim_gateway=debug [default: info]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// text or json [default: text]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
}

impl Common {
    /// The settings given by flags.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let flag = |name, key, value: &Option<String>| value.clone().map(|value| Flag { name, key, value });
        [
            flag("--data-dir", "data_dir", &self.data_dir),
            flag("--gateway-addr", "gateway.listen", &self.gateway_addr),
            flag("--web-addr", "web.listen", &self.web_addr),
            flag("--default-provider", "default_provider", &self.default_provider),
            flag("--upstream", "upstream", &self.upstream),
            flag("--log-level", "log.level", &self.log_level),
            flag("--log-format", "log.format", &self.log_format),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Relay, record, index and show, in one process (the default)
    Up,
    /// Relay only: captured calls go to NATS
    Gateway,
    /// Turn captured calls on NATS into records in PostgreSQL
    Recorder,
    /// Keep word search in Meilisearch up with the records in PostgreSQL
    Indexer,
    /// API and dashboard only, over PostgreSQL
    Web,
    /// Bring the schema of the archive in PostgreSQL up to date, and the acknowledgement wait on NATS
    Migrate,
    /// Everything in one process with a built-in provider and sample traffic: no API key, no network
    ///
    /// Without --data-dir, the data lies in a temporary directory and goes with the process.
    Demo,
    /// Run a program with its LLM base URLs set to a relay, and see what it really sends
    ///
    /// Starts a relay if none runs on the data directory. Of the working directory, neither `.env` is read nor
    /// `verbatim.toml`, unless --config or VERBATIM_CONFIG names it. What the program calls forms one session, whose link is
    /// printed at the end. The exit code is the program's.
    Run {
        /// The program and its arguments, such as `-- python app.py`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Check configuration, disk, ports, the running instance and the providers, and say what to do
    Doctor {
        /// Also make one tiny call to the default provider through the relay; it may cost a fraction of a cent
        #[arg(long)]
        call: bool,
    },
    /// Look at the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Build the search index anew from the archive
    Reindex,
    /// Write a consistent copy of the archive into an empty directory, while running
    Backup {
        /// An empty or absent directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Write the exchanges of a query to a file, newest first
    ///
    /// Where an instance runs on the data directory, it is asked; `[web] password` has to be as it has it.
    Export {
        /// What to export, in the query language [default: everything]
        #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
        query: String,
        /// What the file looks like; all have the same fields
        #[arg(long, default_value = "jsonl", value_parser = ["jsonl", "csv", "parquet"])]
        format: String,
        /// Add to each line of JSON what was said
        #[arg(long, value_parser = ["conversation"])]
        include: Option<String>,
        /// The file, which is there once it is whole; - for standard output
        #[arg(long, short, default_value = "-", value_name = "FILE")]
        output: PathBuf,
    },
    /// Move the archive of a data directory into PostgreSQL
    ///
    /// What is there already is not copied again, so it can be run again at any time, and goes on where it was.
    Import {
        /// The data directory, or a copy that `verbatim backup` made; no instance may run on it
        #[arg(long, value_name = "DIR")]
        from_data_dir: PathBuf,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check it, and show every setting in force and where its value comes from
    Check,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_program_keeps_its_own_flags() {
        let arguments = Arguments::try_parse_from([
            "verbatim",
            "run",
            "--data-dir",
            "d",
            "--",
            "claude",
            "--config",
            "-p",
        ])
        .unwrap();
        let Some(Command::Run { command }) = arguments.command else { panic!("not run") };
        assert_eq!(command, ["claude", "--config", "-p"]);
        assert_eq!(arguments.common.data_dir.as_deref(), Some("d"));
    }
}
