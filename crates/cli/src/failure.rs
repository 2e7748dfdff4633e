//! How a command ends that could not do what it was asked.

use std::process::ExitCode;

use crate::config::{Invalid, Invalids};
use crate::terminal;

/// What `sysexits.h` calls EX_USAGE: the command line or the configuration is wrong.
const USAGE: u8 = 64;

/// Says in one line what went wrong, or in one for each setting that is; the exit code tells a wrong configuration from
/// everything else.
pub(crate) fn tell(error: &anyhow::Error) -> ExitCode {
    if let Some(invalids) = error.downcast_ref::<Invalids>() {
        invalids.each().iter().for_each(|invalid| terminal::tell(format_args!("verbatim: {invalid}")));
        return ExitCode::from(USAGE);
    }
    terminal::tell(format_args!("verbatim: {error:#}"));
    match error.downcast_ref::<Invalid>() {
        Some(_) => ExitCode::from(USAGE),
        None => ExitCode::FAILURE,
    }
}

/// Shows what the command line parser has to say: help and version are no failure.
pub(crate) fn tell_usage(error: &clap::Error) -> ExitCode {
    // A closed pipe is no error.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}
