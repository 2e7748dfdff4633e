//! The one binary: it reads the configuration, composes the roles, and watches over their lives.
//!
//! It must not know how a call is relayed, recorded, found or shown: the roles do.

mod args;
mod banner;
mod client;
mod commands;
mod compose;
mod config;
mod data_dir;
mod descriptors;
mod failure;
mod roles;
mod runtimes;
mod shell;
mod signals;
mod terminal;
mod waits;

use std::process::ExitCode;

use clap::Parser;

/// What a call's many small, short-lived buffers cost most with glibc's: freeing on another thread than the one that
/// allocated, which is what a tee does all day.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match args::Arguments::try_parse() {
        Ok(arguments) => commands::dispatch(arguments).unwrap_or_else(|error| failure::tell(&error)),
        Err(error) => failure::tell_usage(&error),
    }
}
