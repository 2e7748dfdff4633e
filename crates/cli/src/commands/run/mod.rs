//! `run`: a program with its LLM base URLs set to a relay.

mod child;
mod overlooked;
mod own;
mod running;
mod summary;
mod upstreams;
mod variables;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use super::Setting;
use crate::data_dir::{DataDirError, Instance};
use crate::terminal;

/// A program to run, and the session that its calls are to form.
struct Program {
    command: Vec<OsString>,
    session: String,
}

/// Says where calls go that don't go to a well-known provider's own address.
fn tell_upstreams(instance: &Instance) {
    for upstream in &instance.upstreams {
        terminal::tell(format_args!("verbatim: {upstream}"));
    }
}

pub(super) fn run(setting: Setting, command: Vec<OsString>) -> Result<ExitCode> {
    let name =
        command.first().map(|program| Path::new(program).file_name().unwrap_or(program).to_string_lossy());
    let session = variables::session(&name.unwrap_or_default(), rand::random());
    let program = Program { command, session };
    overlooked::tell(&setting.config, super::here());
    match setting.data_dir().take() {
        Ok(held) => own::run(setting, held, &program),
        Err(DataDirError::InUse { .. }) => running::run(&setting, &program),
        Err(error) => Err(error.into()),
    }
}
