//! `completions`: a script that lets a shell complete this program's command line.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Arguments;
use crate::terminal;

pub(super) fn print(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "verbatim", &mut script);
    terminal::out(String::from_utf8_lossy(&script).trim_end());
    ExitCode::SUCCESS
}
