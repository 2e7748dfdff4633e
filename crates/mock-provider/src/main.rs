//! The mock provider as a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use verbatim_mock_provider::{Config, Detail, Directives, LedgerOptions, MockProvider};

/// A fake LLM provider with a ledger.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one. The address is the first line of the output.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Writes a line of JSON for every exchange to this file.
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// Keeps this many of the newest ledger entries in memory.
    #[arg(long, default_value_t = 100_000)]
    keep: usize,
    /// Leaves headers out of the ledger.
    #[arg(long)]
    no_headers: bool,
    /// Answers calls with `x-mock-replay: N` from line N of this file.
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Directives for calls that say nothing else in `x-mock`, such as "delay-head=300ms; chunk-delay=20ms".
    #[arg(long, default_value = "", value_parser = Directives::parse)]
    defaults: Directives,
    /// Answers chat completions with fixed bytes and only counts them.
    #[arg(long)]
    bench: bool,
    /// Threads that answer.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command's output is what its caller reads")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match arguments.threads {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        threads => {
            tokio::runtime::Builder::new_multi_thread().worker_threads(threads.into()).enable_all().build()
        }
    };
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("verbatim-mock-provider: can't start: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        let detail = if arguments.no_headers { Detail::Digests } else { Detail::Heads };
        let config = Config {
            listen: arguments.listen,
            ledger: LedgerOptions { detail, capacity: arguments.keep, file: arguments.ledger },
            defaults: arguments.defaults,
            replay: arguments.replay,
            minimal: arguments.bench,
            ..Config::default()
        };
        let mock = match MockProvider::start(config).await {
            Ok(mock) => mock,
            Err(error) => {
                eprintln!("verbatim-mock-provider: {error}");
                return ExitCode::FAILURE;
            }
        };
        println!("{}", mock.base_url());
        stop_signal().await;
        mock.shutdown().await;
        ExitCode::SUCCESS
    })
}

/// Returns on SIGINT or SIGTERM.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
