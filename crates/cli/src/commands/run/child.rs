//! The program itself: started, sent what ends it, waited for.

use std::io::{self, ErrorKind, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};

use anyhow::{Context, Result};
use rustix::process::{Pid, kill_process};
use tokio::process::{Child, Command};

use super::{Program, variables};
use crate::signals::{Ending, Signals};
use crate::terminal;

/// What shells answer for a program that is not there, and for one that can't be run.
const NOT_FOUND: u8 = 127;
const NOT_RUNNABLE: u8 = 126;

/// Starts the program with its base URLs set to this relay; `spawn` does it. Its input and output are this process's own.
///
/// `Ok(Err(code))`: it could not be started, which is told already.
pub(super) fn start(
    program: &Program,
    gateway: &str,
    spawn: impl FnOnce(&mut Command) -> io::Result<Child>,
) -> Result<Result<Child, ExitCode>> {
    let (path, arguments) = program.command.split_first().context("no program was given")?;
    let name = Path::new(path).file_name().unwrap_or(path).to_string_lossy();
    let mut command = Command::new(path);
    command
        .args(variables::arguments(&name, gateway, &program.session))
        .args(arguments)
        .envs(variables::leading_to(gateway, &program.session));
    for name in ["NO_PROXY", "no_proxy"] {
        command.env(name, variables::without_proxy(environment_variable(name).as_deref()));
    }
    match spawn(&mut command) {
        Ok(child) => Ok(Ok(child)),
        Err(error) => {
            terminal::tell(format_args!("verbatim: {} can't be run: {error}", path.display()));
            let code = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE };
            Ok(Err(ExitCode::from(code)))
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what a child inherits is the process's environment, not a setting"
)]
fn environment_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Waits for the program. What is sent to end this process is sent on to it.
pub(super) async fn wait(child: &mut Child, signals: &mut Signals) -> Result<ExitStatus> {
    loop {
        tokio::select! {
            status = child.wait() => return Ok(status?),
            ending = signals.next() => {
                // A terminal sends Ctrl-C to all of its foreground processes, the program among them.
                let known = ending == Ending::Interrupt && io::stdin().is_terminal();
                let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
                if let Some(pid) = pid.filter(|_| !known) {
                    // It may have ended just now.
                    let _ = kill_process(pid, ending.signal());
                }
            }
        }
    }
}

/// The program's exit code; as shells count, 128 and the signal's number where one ended it.
pub(super) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
