//! `export`: the exchanges of a query, as a file or to another program.

mod output;
mod running;
mod source;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;
use verbatim_web::ExportFormat;

use super::{Setting, runtimes};
use crate::signals::Signals;
use crate::terminal;
use output::{Output, Written};
use source::Source;

/// What the command line asks for.
pub(super) struct Asked<'a> {
    /// In the query language; everything where it is empty.
    pub(super) query: &'a str,
    pub(super) format: ExportFormat,
    /// A file, or `-`.
    pub(super) output: &'a Path,
}

pub(super) fn run(setting: &Setting, asked: &Asked<'_>) -> Result<ExitCode> {
    let to_terminal = output::is_standard(asked.output) && io::stdout().is_terminal();
    if to_terminal && !asked.format.is_text() {
        bail!("a terminal can't show {}: name a file with --output", asked.format.name());
    }
    let (logs, _metrics) = setting.telemetry()?;
    let runtimes = runtimes()?;
    let bar = if to_terminal { ProgressBar::hidden() } else { bar()? };
    let done = runtimes.run(async |_| export(setting, asked, &bar).await);
    bar.finish_and_clear();
    runtimes.stop();
    drop(logs);
    done
}

/// Shown on a terminal only.
fn bar() -> Result<ProgressBar> {
    Ok(ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {msg}, {elapsed}")?))
}

async fn export(setting: &Setting, asked: &Asked<'_>, bar: &ProgressBar) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    // Before the output is touched: what can't be answered leaves no file behind.
    let mut source = tokio::select! {
        opened = Source::open(setting, asked, &stop) => opened?,
        ending = signals.next() => return Ok(ExitCode::from(ending.exit_code())),
    };
    if let Some(notice) = source.notice() {
        terminal::tell(format_args!("verbatim: {notice}"));
    }
    let copied = async {
        let mut output = Output::open(asked.output)?;
        let mut bytes = 0;
        loop {
            let piece = tokio::select! {
                piece = source.next() => piece?,
                ending = signals.next() => return Ok(Copied::Ended(ending.exit_code())),
            };
            let Some(piece) = piece else { break };
            bytes += piece.len() as u64;
            if output.write(&piece)? == Written::NobodyReads {
                return Ok(Copied::Enough);
            }
            bar.set_message(progress(source.exchanges(), bytes));
            bar.tick();
        }
        output.finish()?;
        anyhow::Ok(Copied::Whole(bytes))
    };
    let copied = copied.await;
    let exchanges = source.exchanges();
    source.close().await?;
    match copied? {
        Copied::Whole(bytes) => {
            let done = format!("{} exported", progress(exchanges, bytes));
            if !output::is_standard(asked.output) {
                terminal::out(format_args!("{done} to {}", asked.output.display()));
            }
            Ok(ExitCode::SUCCESS)
        }
        Copied::Enough => Ok(ExitCode::SUCCESS),
        Copied::Ended(code) => Ok(ExitCode::from(code)),
    }
}

/// How an export ended.
enum Copied {
    /// With so many bytes.
    Whole(u64),
    /// Whoever reads has read enough.
    Enough,
    /// By a signal, with this exit code.
    Ended(u8),
}

fn progress(exchanges: Option<u64>, bytes: u64) -> String {
    match exchanges {
        Some(exchanges) => format!("{} exchanges, {}", HumanCount(exchanges), HumanBytes(bytes)),
        None => HumanBytes(bytes).to_string(),
    }
}
