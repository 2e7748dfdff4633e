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

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;

use crate::measure::{Bench, Measuring, Meilisearch};

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
    /// The roles on NATS and PostgreSQL: a backlog drained, everything at once, memory.
    ScaleOut,
    /// Of these, the backlog alone.
    Backlog,
    /// Of these, memory with long bodies alone.
    LongBodies,
    /// Lists, filters and the overview over a month's calls in PostgreSQL.
    Lists,
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
    /// Exchanges in the archive whose lists are timed.
    #[arg(long, default_value_t = 1_000_000)]
    listed: u32,
    /// Where the binaries to measure are, built beforehand; without, they are built now.
    #[arg(long)]
    binaries: Option<PathBuf>,
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

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let bench = Bench {
        // Processes have directories of their own.
        binaries: std::path::absolute(arguments.binaries.map_or_else(targets::build, Ok)?)?,
        time: Duration::from_secs(arguments.seconds.max(1)),
        rounds: arguments.rounds.max(1),
        backlog: arguments.backlog,
        listed: arguments.listed.max(1_000),
        documents: arguments.documents.max(1),
        meilisearch: arguments.meili_url.map(|url| Meilisearch { url, key: arguments.meili_key }),
    };
    let mut measuring = Measuring::new(bench)?;
    let wanted = |what| arguments.what == What::All || arguments.what == what;
    if wanted(What::Relay) {
        measuring.run("relay", measure::relay);
    }
    if wanted(What::Latency) {
        measuring.run("latency", measure::latency);
    }
    if wanted(What::Sustained) {
        measuring.run("sustained", measure::sustained);
    }
    if wanted(What::Streams) {
        measuring.run("streams", measure::streams);
    }
    if wanted(What::Storage) {
        measuring.run("storage", measure::storage);
    }
    if wanted(What::Start) {
        measuring.run("start", measure::start);
    }
    if wanted(What::ScaleOut) || wanted(What::Backlog) {
        measuring.run("scale-out, a backlog drained", measure::drained);
    }
    if wanted(What::ScaleOut) {
        measuring.run("scale-out, everything at once", measure::at_once);
        measuring.run("scale-out, memory with many streams", measure::many_streams);
    }
    if wanted(What::ScaleOut) || wanted(What::LongBodies) {
        measuring.run("scale-out, memory with long bodies", measure::long_bodies);
    }
    if wanted(What::Lists) {
        measuring.run("lists", measure::lists);
    }
    if wanted(What::Search) {
        measuring.run("word search", measure::search);
    }
    let Measuring { bench, report, failed, .. } = measuring;
    report.print();
    if arguments.what == What::All {
        report.write(&bench)?;
    }
    ensure!(failed.is_empty(), "could not measure {}", failed.join("; "));
    Ok(())
}
