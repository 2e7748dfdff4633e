//! Measures Verbatim beside nginx and beside no relay at all, in one run on one machine, and writes a table.
//!
//! `cargo run --release -p bench -- all` runs everything and writes `bench/RESULTS.md`; a measurement's name runs
//! that one and prints it.

mod agent;
mod http;
mod load;
mod machine;
mod measure;
mod report;
mod scale_out;
mod targets;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;

use crate::measure::{Bench, Meilisearch};
use crate::report::Report;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Everything below; writes `bench/RESULTS.md`.
    All,
    /// Calls and streams a second at 32 connections: direct, nginx, Verbatim.
    Relay,
    /// Latency added at 1,000 calls a second.
    Latency,
    /// Calls archived a second, nothing lost; memory and bytes written meanwhile.
    Sustained,
    /// Memory with 1,000 streams open.
    Streams,
    /// Bytes kept of a 60-turn conversation of an agent.
    Storage,
    /// From start to the first answered call.
    Start,
    /// The roles on NATS and PostgreSQL: a backlog drained, everything at once, lists, memory.
    ScaleOut,
    /// Word search on a Meilisearch that is given: an outbox drained, an index built anew, searches.
    Search,
}

/// Measures the relay, its recording and its memory against the mock provider.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure.
    #[arg(value_enum, default_value = "all")]
    what: What,
    /// Seconds for each round of load.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Exchanges that the backlog which a recorder drains has at least.
    #[arg(long, default_value_t = 300_000)]
    backlog: u64,
    /// A Meilisearch to measure word search on.
    #[arg(long, env = "VERBATIM_TEST_MEILI_URL", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    meili_url: Option<String>,
    /// The key that it asks for.
    #[arg(long, env = "VERBATIM_TEST_MEILI_KEY", hide_env_values = true, default_value = "")]
    meili_key: String,
    /// Exchanges that are indexed and searched.
    #[arg(long, default_value_t = 100_000)]
    documents: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let bench = Bench {
        binaries: targets::build()?,
        time: Duration::from_secs(arguments.seconds.max(1)),
        rounds: arguments.rounds.max(1),
        backlog: arguments.backlog,
        documents: arguments.documents.max(1),
        meilisearch: arguments.meili_url.map(|url| Meilisearch { url, key: arguments.meili_key }),
    };
    let mut report = Report::default();
    let wanted = |what| arguments.what == What::All || arguments.what == what;
    if wanted(What::Relay) {
        measure::relay(&bench, &mut report).await?;
    }
    if wanted(What::Latency) {
        measure::latency(&bench, &mut report).await?;
    }
    if wanted(What::Sustained) {
        measure::sustained(&bench, &mut report).await?;
    }
    if wanted(What::Streams) {
        measure::streams(&bench, &mut report).await?;
    }
    if wanted(What::Storage) {
        measure::storage(&bench, &mut report).await?;
    }
    if wanted(What::Start) {
        measure::start(&bench, &mut report).await?;
    }
    if wanted(What::ScaleOut) {
        measure::scale_out(&bench, &mut report).await?;
    }
    if wanted(What::Search) {
        measure::search(&bench, &mut report).await?;
    }
    report.print();
    if arguments.what == What::All {
        report.write(&bench)?;
    }
    Ok(())
}
