//! `completions`: a script that lets a shell complete this program's command line.

use std::io;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Arguments;

pub(super) fn print(shell: Shell) -> ExitCode {
    clap_complete::generate(shell, &mut Arguments::command(), "verbatim", &mut io::stdout());
    ExitCode::SUCCESS
}
