//! Log lines, to standard error or a file.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::str::FromStr;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Lines that may wait for a slow reader; more are dropped and counted.
const BUFFERED_LINES: usize = 8192;

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Which log lines are written: `info`, or directives such as `info,verbatim_gateway=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level(String);

/// Text that is no log level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a log level: expected error, warn, info, debug, trace, off, or directives such as info,verbatim_gateway=debug, got {0:?}"
)]
pub struct InvalidLevel(String);

impl Default for Level {
    fn default() -> Self {
        Self("info".into())
    }
}

impl FromStr for Level {
    type Err = InvalidLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A bare word is a level to the user, but a target's name to the filter's own grammar.
        let bare = !text.contains(['=', ',']);
        let known = ["error", "warn", "info", "debug", "trace", "off"];
        let valid = if bare {
            known.contains(&text.to_ascii_lowercase().as_str())
        } else {
            EnvFilter::builder().parse(text).is_ok()
        };
        if valid { Ok(Self(text.into())) } else { Err(InvalidLevel(text.into())) }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// Something else in this process set up logs before.
    #[error("logs are set up already")]
    AlreadySetUp,
}

/// The running logs; lines still waiting are written when it is dropped.
pub struct Logs {
    dropped: ErrorCounter,
    _writer: WorkerGuard,
}

impl Logs {
    /// Starts writing log lines to standard error. Lines pass through a bounded buffer that drops instead of waiting,
    /// since whoever logs may be relaying a call: a paused terminal must not pause the relay.
    pub fn start(level: &Level, format: LogFormat) -> Result<Self, LogsError> {
        let colours = format == LogFormat::Text && io::stderr().is_terminal();
        Self::write_to(io::stderr(), colours, level, format)
    }

    /// The same to a file, for a process whose terminal belongs to somebody else.
    pub fn start_in(file: File, level: &Level, format: LogFormat) -> Result<Self, LogsError> {
        Self::write_to(file, false, level, format)
    }

    fn write_to(
        writer: impl Write + Send + 'static,
        colours: bool,
        level: &Level,
        format: LogFormat,
    ) -> Result<Self, LogsError> {
        let (writer, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(BUFFERED_LINES)
            .lossy(true)
            .thread_name("logs")
            .finish(writer);
        let dropped = writer.error_counter();
        let filter = EnvFilter::builder().parse_lossy(&level.0);
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(writer)
            .with_span_events(FmtSpan::NONE)
            .with_ansi(colours);
        let started = match format {
            LogFormat::Text => subscriber.with_target(false).try_init(),
            LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
        };
        started.map_err(|_| LogsError::AlreadySetUp)?;
        Ok(Self { dropped, _writer: guard })
    }

    /// Lines dropped because they were not taken in time.
    pub fn dropped_lines(&self) -> u64 {
        self.dropped.dropped_lines() as u64
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").field("dropped_lines", &self.dropped_lines()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_word_or_directives() {
        for valid in ["info", "WARN", "off", "info,verbatim_gateway=debug", "verbatim_web=trace"] {
            assert_eq!(valid.parse::<Level>().map(|level| level.to_string()), Ok(valid.to_owned()));
        }
        for invalid in ["", "loud", "info,verbatim_gateway=loud"] {
            let error = invalid.parse::<Level>().unwrap_err().to_string();
            assert!(error.contains("expected error, warn, info"), "{error}");
        }
    }
}
